// The vocabulary of scalar.h on AVX-512 F, BW, DQ, VL and VNNI: one register a vector.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "base/inline.h"

namespace quant {

struct Avx512 {
  using F32x16 = __m512;
  using I32x16 = __m512i;
  using U8x16 = __m128i;
  using DotWeights = __m512i;
  static constexpr size_t kFetchAhead = 4096;
  static constexpr int kFloatRows = 12;
  static constexpr int kInt8Rows = 12;
  static constexpr int kInt8Columns = 4;
  static constexpr int kBlockRows = 6;
  static constexpr int kBlockColumns = 4;
  static constexpr int kInt8BlockRows = 6;
  static constexpr int kInt8BlockColumns = 2;
  static constexpr int kInt8FewRows = 4;
  static constexpr int kInt8FewColumns = 4;
  static constexpr int kInt8SumRows = 3;
  static constexpr int kInt8SumColumns = 2;
  static constexpr bool kInt8SumWords = false;
  static constexpr int kWordRows = 12;
  static constexpr int kWordSumRows = 4;
  static constexpr int kWordSumColumns = 4;
  static constexpr int kSoftmaxRows = 3;

  // Floats.
  static QUANT_INLINE F32x16 zero() { return _mm512_setzero_ps(); }
  static QUANT_INLINE F32x16 set1(float x) { return _mm512_set1_ps(x); }
  static QUANT_INLINE F32x16 load(const float* p) { return _mm512_loadu_ps(p); }
  static QUANT_INLINE void store(float* p, F32x16 v) { _mm512_storeu_ps(p, v); }
  static QUANT_INLINE void store_partial(float* p, F32x16 v, int n) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v);
  }
  static QUANT_INLINE F32x16 load_half(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static QUANT_INLINE void store_half(uint16_t* p, F32x16 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static QUANT_INLINE F32x16 load_bfloat(const uint16_t* p) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
  static QUANT_INLINE void store_bfloat(uint16_t* p, F32x16 v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, bias), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(rounded));
  }
  static QUANT_INLINE float half(uint16_t h) { return _cvtsh_ss(h); }
  static QUANT_INLINE uint16_t to_half(float f) {
    return static_cast<uint16_t>(_cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static QUANT_INLINE F32x16 add(F32x16 a, F32x16 b) { return _mm512_add_ps(a, b); }
  static QUANT_INLINE F32x16 sub(F32x16 a, F32x16 b) { return _mm512_sub_ps(a, b); }
  static QUANT_INLINE F32x16 mul(F32x16 a, F32x16 b) { return _mm512_mul_ps(a, b); }
  static QUANT_INLINE F32x16 div(F32x16 a, F32x16 b) { return _mm512_div_ps(a, b); }
  static QUANT_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return _mm512_fmadd_ps(a, b, c); }
  static QUANT_INLINE F32x16 abs(F32x16 a) { return _mm512_abs_ps(a); }
  static QUANT_INLINE F32x16 max(F32x16 a, F32x16 b) { return _mm512_max_ps(a, b); }
  static QUANT_INLINE F32x16 min(F32x16 a, F32x16 b) { return _mm512_min_ps(a, b); }
  static QUANT_INLINE F32x16 select_less(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
  }
  static QUANT_INLINE float reduce_add(F32x16 v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static QUANT_INLINE float reduce_max(F32x16 v) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static QUANT_INLINE void transpose(F32x16 (&r)[16]) {
    // Four steps: pairs of floats, pairs of doubles, then 128-bit blocks twice.
    F32x16 a[16];
    for (int i = 0; i < 16; i += 2) {
      a[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
      a[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    F32x16 b[16];
    for (int i = 0; i < 16; i += 4) {
      b[i] = low_pairs(a[i], a[i + 2]);
      b[i + 1] = high_pairs(a[i], a[i + 2]);
      b[i + 2] = low_pairs(a[i + 1], a[i + 3]);
      b[i + 3] = high_pairs(a[i + 1], a[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
      const F32x16 even_low = _mm512_shuffle_f32x4(b[i], b[i + 4], 0x88);
      const F32x16 odd_low = _mm512_shuffle_f32x4(b[i], b[i + 4], 0xdd);
      const F32x16 even_high = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0x88);
      const F32x16 odd_high = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0xdd);
      r[i] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
      r[i + 8] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
      r[i + 4] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
      r[i + 12] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
    }
  }
  template <int Distance>
  static QUANT_INLINE F32x16 swap_lanes(F32x16 v) {
    static_assert(Distance == 1 || Distance == 2 || Distance == 4 || Distance == 8);
    if constexpr (Distance == 8) return _mm512_shuffle_f32x4(v, v, 0x4e);
    if constexpr (Distance == 4) return _mm512_shuffle_f32x4(v, v, 0xb1);
    return _mm512_permute_ps(v, Distance == 2 ? 0x4e : 0xb1);
  }

  // 32-bit integers.
  static QUANT_INLINE I32x16 set1_i32(int32_t x) { return _mm512_set1_epi32(x); }
  static QUANT_INLINE I32x16 load_i32(const int32_t* p) { return _mm512_loadu_si512(p); }
  static QUANT_INLINE void store_i32(int32_t* p, I32x16 v) { _mm512_storeu_si512(p, v); }
  static QUANT_INLINE I32x16 add_i32(I32x16 a, I32x16 b) { return _mm512_add_epi32(a, b); }
  static QUANT_INLINE int32_t reduce_add_i32(I32x16 v) { return _mm512_reduce_add_epi32(v); }
  static QUANT_INLINE I32x16 bits(F32x16 v) { return _mm512_castps_si512(v); }
  static QUANT_INLINE F32x16 to_float(I32x16 v) { return _mm512_cvtepi32_ps(v); }
  static QUANT_INLINE I32x16 to_int(F32x16 v) {
    return _mm512_cvt_roundps_epi32(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static QUANT_INLINE F32x16 scale_by_power_of_two(F32x16 v, F32x16 t) {
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
    const __m512i power = _mm512_add_epi32(exponent, _mm512_castps_si512(set1(1.0f)));
    return mul(v, _mm512_castsi512_ps(power));
  }
  static QUANT_INLINE I32x16 count_greater(I32x16 n, F32x16 a, F32x16 b) {
    return _mm512_mask_add_epi32(n, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), n, _mm512_set1_epi32(1));
  }
  static QUANT_INLINE F32x16 lookup(F32x16 table, I32x16 index) {
    return _mm512_permutexvar_ps(index, table);
  }
  template <int Bits>
  static QUANT_INLINE I32x16 unpack(const uint8_t* p) {
    if constexpr (Bits == 8) {
      return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    } else {
      return _mm512_and_si512(shifted_codes<Bits>(p), _mm512_set1_epi32((1 << Bits) - 1));
    }
  }
  static QUANT_INLINE I32x16 load_i8(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static QUANT_INLINE void store_i8(int8_t* p, I32x16 v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
  }

  static QUANT_INLINE void store_u14x64(uint8_t* high, uint8_t* low, const I32x16 (&v)[4]) {
    const __m512i first = _mm512_packs_epi32(v[0], v[1]);
    const __m512i second = _mm512_packs_epi32(v[2], v[3]);
    store_bytes(high, _mm512_srli_epi16(first, 7), _mm512_srli_epi16(second, 7));
    const __m512i mask = _mm512_set1_epi16(127);
    store_bytes(low, _mm512_and_si512(first, mask), _mm512_and_si512(second, mask));
  }

  static QUANT_INLINE void store_u8x64(uint8_t* p, const I32x16 (&v)[4]) {
    store_bytes(p, _mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
  }

  // Four bytes in each lane.
  template <int Bytes>
  static QUANT_INLINE I32x16 load_bytes(const uint8_t* p) {
    if constexpr (Bytes == 64) return _mm512_loadu_si512(p);
    return _mm512_zextsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static QUANT_INLINE I32x16 load_u16(const uint8_t* p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  template <int Left>
  static QUANT_INLINE I32x16 shift_i32(I32x16 v) {
    return Left > 0 ? _mm512_slli_epi32(v, Left & 31) : _mm512_srli_epi32(v, -Left & 31);
  }
  static QUANT_INLINE I32x16 and_i32(I32x16 a, I32x16 b) { return _mm512_and_si512(a, b); }
  static QUANT_INLINE I32x16 or_i32(I32x16 a, I32x16 b) { return _mm512_or_si512(a, b); }
  template <int From, int Count, int To>
  static QUANT_INLINE I32x16 byte_bits(I32x16 v) {
    if constexpr (From > To) v = _mm512_srli_epi32(v, From - To);
    if constexpr (From < To) v = _mm512_slli_epi32(v, To - From);
    return _mm512_and_si512(v, _mm512_set1_epi8(static_cast<char>(((1 << Count) - 1) << To)));
  }
  template <int First, int To>
  static QUANT_INLINE I32x16 bits_to_bytes(I32x16 v) {
    static_assert(First % 4 == 0);  // all four bits come from one byte
    constexpr int kByte = First / 8 * 0x01010101;
    const __m512i from = _mm512_broadcast_i32x4(
        _mm_setr_epi32(kByte, kByte + 0x04040404, kByte + 0x08080808, kByte + 0x0c0c0c0c));
    const __m512i each =
        _mm512_set1_epi32(First % 8 == 0 ? 0x08040201 : static_cast<int>(0x80402010));
    const __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(v, from), each);
    return _mm512_maskz_mov_epi8(set, _mm512_set1_epi8(static_cast<char>(1 << To)));
  }
  static QUANT_INLINE I32x16 sub_bytes(I32x16 a, I32x16 b) { return _mm512_sub_epi8(a, b); }
  static QUANT_INLINE I32x16 lookup_bytes(U8x16 table, I32x16 index) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), index);
  }
  template <int Index>
  static QUANT_INLINE I32x16 signed_byte(I32x16 v) {
    if constexpr (Index < 3) v = _mm512_slli_epi32(v, 24 - 8 * Index);
    return _mm512_srai_epi32(v, 24);
  }
  template <int Index>
  static QUANT_INLINE F32x16 half_of(I32x16 v) {
    if constexpr (Index == 1) v = _mm512_srli_epi32(v, 16);
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
  }
  static QUANT_INLINE void transpose(I32x16 (&r)[16]) {
    F32x16 f[16];
    for (int i = 0; i < 16; ++i) f[i] = _mm512_castsi512_ps(r[i]);
    transpose(f);
    for (int i = 0; i < 16; ++i) r[i] = _mm512_castps_si512(f[i]);
  }

  // Integer products. vpdpbusd multiplies unsigned by signed bytes, so signed weights are moved by
  // 128.
  template <int Most>
  static constexpr int kDotRun = 64;
  template <int Most>
  static QUANT_INLINE DotWeights dot_weights(I32x16 v) {
    return Most == 0 ? _mm512_xor_si512(v, _mm512_set1_epi8(-128)) : v;
  }
  template <int Most>
  static QUANT_INLINE DotWeights lookup_weights(U8x16 table, I32x16 index) {
    return _mm512_shuffle_epi8(dot_weights<Most>(_mm512_broadcast_i32x4(table)), index);
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_start(int32_t x_sum) {
    return _mm512_set1_epi32(Most == 0 ? -128 * x_sum : 0);
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_open(I32x16 total) {
    return total;
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot4(I32x16 acc, DotWeights w, const int8_t* x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(four));
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_close(I32x16, I32x16 running) {
    return running;
  }
  static QUANT_INLINE I32x16 dot4_mixed(I32x16 acc, I32x16 w, const uint8_t* x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_dpbusd_epi32(acc, _mm512_set1_epi32(four), w);
  }
  static QUANT_INLINE I32x16 dot4_few(I32x16 acc, I32x16 w, const uint8_t* x) {
    return dot4_mixed(acc, w, x);
  }

  // The same with 16 bits.
  static QUANT_INLINE I32x16 pair_words(I32x16 a, I32x16 b) {
    return _mm512_mask_blend_epi16(0xaaaaaaaa, a, _mm512_slli_epi32(b, 16));
  }
  static QUANT_INLINE I32x16 max_words(I32x16 a, I32x16 b) { return _mm512_max_epi16(a, b); }
  static QUANT_INLINE I32x16 max_words_of_each(const I32x16 (&v)[16]) {
    __m512i four[4];  // lane 4·p + i: of row i and 128 bits p
    for (int g = 0; g < 4; ++g) {
      const auto two = [](__m512i a, __m512i b) __attribute__((always_inline)) {
        return max_words(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
      };
      const __m512i a = two(v[4 * g], v[4 * g + 1]);
      const __m512i b = two(v[4 * g + 2], v[4 * g + 3]);
      four[g] = max_words(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    }
    const auto blocks = [](__m512i a, __m512i b) __attribute__((always_inline)) {
      return max_words(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
    };
    return blocks(blocks(four[0], four[1]), blocks(four[2], four[3]));
  }
  static QUANT_INLINE I32x16 even_bytes(I32x16 v) { return odd_bytes(_mm512_slli_epi16(v, 8)); }
  static QUANT_INLINE I32x16 odd_bytes(I32x16 v) { return _mm512_srai_epi16(v, 8); }
  static QUANT_INLINE void store_i16_pairs(int16_t* p, I32x16 v) {
    const __m256i words = _mm512_cvtepi32_epi16(v);
    const __m256i pairs = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, 0xd8), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), pairs);
  }
  static QUANT_INLINE I32x16 dot2(I32x16 acc, I32x16 w, const int16_t* x) {
    int32_t two;
    memcpy(&two, x, sizeof two);
    return _mm512_dpwssd_epi32(acc, w, _mm512_set1_epi32(two));
  }

  // Bytes.
  static QUANT_INLINE U8x16 load_u8(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static QUANT_INLINE void store_u8(void* p, U8x16 v) {
    _mm_storeu_si128(static_cast<__m128i*>(p), v);
  }
  static QUANT_INLINE U8x16 lookup_u8(U8x16 table, U8x16 index) {
    return _mm_shuffle_epi8(table, index);
  }

 private:
  /// Words of four vectors, packed two and two by _mm512_packs_epi32, as bytes in their order.
  static QUANT_INLINE void store_bytes(uint8_t* p, __m512i first, __m512i second) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second)));
  }
  /// Sixteen codes of 2, 3 or 4 bits, each at the bottom of its lane with others above it.
  template <int Bits>
  static QUANT_INLINE __m512i shifted_codes(const uint8_t* p) {
    const __m256i step =
        _mm256_setr_epi32(0, Bits, 2 * Bits, 3 * Bits, 4 * Bits, 5 * Bits, 6 * Bits, 7 * Bits);
    if constexpr (Bits == 2) {
      const __m128i word = _mm_loadu_si32(p);
      const __m256i high_step = _mm256_add_epi32(step, _mm256_set1_epi32(8 * Bits));
      const __m512i shifts = _mm512_inserti64x4(_mm512_castsi256_si512(step), high_step, 1);
      return _mm512_srlv_epi32(_mm512_broadcastd_epi32(word), shifts);
    } else {
      __m128i low;
      __m128i high;
      if constexpr (Bits == 4) {
        low = _mm_loadu_si32(p);
        high = _mm_loadu_si32(p + 4);
      } else {
        static_assert(Bits == 3);
        uint32_t first;
        uint16_t top;
        memcpy(&first, p, sizeof first);  // three bytes at once would go through memory
        memcpy(&top, p + 4, sizeof top);
        low = _mm_cvtsi32_si128(static_cast<int32_t>(first));
        high =
            _mm_cvtsi32_si128(static_cast<int32_t>(first >> 24 | static_cast<uint32_t>(top) << 8));
      }
      const __m512i words =
          _mm512_mask_broadcastd_epi32(_mm512_broadcastd_epi32(low), 0xff00, high);
      const __m512i shifts = _mm512_inserti64x4(_mm512_castsi256_si512(step), step, 1);
      return _mm512_srlv_epi32(words, shifts);
    }
  }
  static QUANT_INLINE F32x16 low_pairs(F32x16 a, F32x16 b) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  }
  static QUANT_INLINE F32x16 high_pairs(F32x16 a, F32x16 b) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  }
};

}  // namespace quant
