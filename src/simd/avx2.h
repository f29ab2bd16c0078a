// The vocabulary of scalar.h on AVX2, FMA and F16C: two registers a vector.
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "base/inline.h"

namespace quant {

struct Avx2 {
  struct F32x16 {
    __m256 low, high;
  };
  struct I32x16 {
    __m256i low, high;
  };
  using U8x16 = __m128i;
  /// The weights as they are, and their magnitudes as unsigned bytes.
  struct DotWeights {
    I32x16 value, magnitude;
  };
  /// Of those measured the best on a Zen 3, which stops at AVX2.
  static constexpr size_t kFetchAhead = 1536;
  static constexpr int kFloatRows = 6;
  static constexpr int kInt8Rows = 4;
  static constexpr int kInt8Columns = 4;
  static constexpr int kBlockRows = 3;
  static constexpr int kBlockColumns = 2;
  static constexpr int kInt8BlockRows = 4;
  static constexpr int kInt8BlockColumns = 1;
  static constexpr int kInt8FewRows = kInt8BlockRows;
  static constexpr int kInt8FewColumns = kInt8BlockColumns;
  static constexpr int kInt8SumRows = 3;
  static constexpr int kInt8SumColumns = 2;
  static constexpr bool kInt8SumWords = true;
  static constexpr int kWordRows = 3;
  static constexpr int kWordSumRows = 4;
  static constexpr int kWordSumColumns = 1;
  static constexpr int kSoftmaxRows = 2;

  // Floats.
  static QUANT_INLINE F32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static QUANT_INLINE F32x16 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static QUANT_INLINE F32x16 load(const float* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
  }
  static QUANT_INLINE void store(float* p, F32x16 v) {
    _mm256_storeu_ps(p, v.low);
    _mm256_storeu_ps(p + 8, v.high);
  }
  static QUANT_INLINE void store_partial(float* p, F32x16 v, int n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), v.low);
    if (n > 8) {
      _mm256_maskstore_ps(p + 8, _mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), lane), v.high);
    }
  }
  static QUANT_INLINE F32x16 load_half(const uint16_t* p) {
    return {_mm256_cvtph_ps(load_128(p)), _mm256_cvtph_ps(load_128(p + 8))};
  }
  static QUANT_INLINE void store_half(uint16_t* p, F32x16 v) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    store_128(p, _mm256_cvtps_ph(v.low, kNearest));
    store_128(p + 8, _mm256_cvtps_ph(v.high, kNearest));
  }
  static QUANT_INLINE F32x16 load_bfloat(const uint16_t* p) {
    return {widen_bfloat(load_128(p)), widen_bfloat(load_128(p + 8))};
  }
  static QUANT_INLINE void store_bfloat(uint16_t* p, F32x16 v) {
    const __m256i pairs = _mm256_packus_epi32(round_bfloat(v.low), round_bfloat(v.high));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(pairs, 0xd8));
  }
  static QUANT_INLINE float half(uint16_t h) { return _cvtsh_ss(h); }
  static QUANT_INLINE uint16_t to_half(float f) {
    return static_cast<uint16_t>(_cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static QUANT_INLINE F32x16 add(F32x16 a, F32x16 b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  static QUANT_INLINE F32x16 sub(F32x16 a, F32x16 b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  static QUANT_INLINE F32x16 mul(F32x16 a, F32x16 b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  static QUANT_INLINE F32x16 div(F32x16 a, F32x16 b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
  }
  static QUANT_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static QUANT_INLINE F32x16 abs(F32x16 a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
  }
  static QUANT_INLINE F32x16 max(F32x16 a, F32x16 b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
  }
  static QUANT_INLINE F32x16 min(F32x16 a, F32x16 b) {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
  }
  static QUANT_INLINE F32x16 select_less(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
    return {_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
            _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
  }
  static QUANT_INLINE float reduce_add(F32x16 v) {
    const __m256 eight = _mm256_add_ps(v.low, v.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static QUANT_INLINE float reduce_max(F32x16 v) {
    const __m256 eight = _mm256_max_ps(v.low, v.high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static QUANT_INLINE void transpose(F32x16 (&r)[16]) {
    // Four 8×8 quarters; the two off the diagonal change places.
    __m256 quarter[4][8];
    for (int i = 0; i < 8; ++i) {
      quarter[0][i] = r[i].low;
      quarter[1][i] = r[i].high;
      quarter[2][i] = r[i + 8].low;
      quarter[3][i] = r[i + 8].high;
    }
    for (auto& block : quarter) transpose_8x8(block);
    for (int i = 0; i < 8; ++i) {
      r[i] = {quarter[0][i], quarter[2][i]};
      r[i + 8] = {quarter[1][i], quarter[3][i]};
    }
  }
  template <int Distance>
  static QUANT_INLINE F32x16 swap_lanes(F32x16 v) {
    static_assert(Distance == 1 || Distance == 2 || Distance == 4 || Distance == 8);
    if constexpr (Distance == 8) return {v.high, v.low};
    if constexpr (Distance == 4) {
      return {_mm256_permute2f128_ps(v.low, v.low, 1), _mm256_permute2f128_ps(v.high, v.high, 1)};
    }
    constexpr int kOrder = Distance == 2 ? 0x4e : 0xb1;
    return {_mm256_permute_ps(v.low, kOrder), _mm256_permute_ps(v.high, kOrder)};
  }

  // 32-bit integers.
  static QUANT_INLINE I32x16 set1_i32(int32_t x) {
    return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
  }
  static QUANT_INLINE I32x16 load_i32(const int32_t* p) { return {load_256(p), load_256(p + 8)}; }
  static QUANT_INLINE void store_i32(int32_t* p, I32x16 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), v.high);
  }
  static QUANT_INLINE I32x16 add_i32(I32x16 a, I32x16 b) {
    return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
  }
  static QUANT_INLINE int32_t reduce_add_i32(I32x16 v) {
    const __m256i eight = _mm256_add_epi32(v.low, v.high);
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
  }
  static QUANT_INLINE I32x16 bits(F32x16 v) {
    return {_mm256_castps_si256(v.low), _mm256_castps_si256(v.high)};
  }
  static QUANT_INLINE F32x16 to_float(I32x16 v) {
    return {_mm256_cvtepi32_ps(v.low), _mm256_cvtepi32_ps(v.high)};
  }
  static QUANT_INLINE I32x16 to_int(F32x16 v) {
    return {_mm256_cvtps_epi32(v.low), _mm256_cvtps_epi32(v.high)};
  }
  static QUANT_INLINE F32x16 scale_by_power_of_two(F32x16 v, F32x16 t) {
    return {times_power(v.low, t.low), times_power(v.high, t.high)};
  }
  static QUANT_INLINE I32x16 count_greater(I32x16 n, F32x16 a, F32x16 b) {
    // A true comparison is -1.
    const __m256 low = _mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ);
    const __m256 high = _mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ);
    return {_mm256_sub_epi32(n.low, _mm256_castps_si256(low)),
            _mm256_sub_epi32(n.high, _mm256_castps_si256(high))};
  }
  static QUANT_INLINE F32x16 lookup(F32x16 table, I32x16 index) {
    return {lookup_8(table, index.low), lookup_8(table, index.high)};
  }
  template <int Bits>
  static QUANT_INLINE I32x16 unpack(const uint8_t* p) {
    if constexpr (Bits == 8) {
      return {_mm256_cvtepu8_epi32(load_64(p)), _mm256_cvtepu8_epi32(load_64(p + 8))};
    } else {
      return {unpack_8<Bits>(p), unpack_8<Bits>(p + Bits)};
    }
  }
  static QUANT_INLINE I32x16 load_i8(const int8_t* p) {
    return {_mm256_cvtepi8_epi32(load_64(p)), _mm256_cvtepi8_epi32(load_64(p + 8))};
  }
  static QUANT_INLINE void store_i8(int8_t* p, I32x16 v) {
    const __m256i byte = _mm256_set1_epi32(0xff);
    const __m256i mixed =
        _mm256_packus_epi32(_mm256_and_si256(v.low, byte), _mm256_and_si256(v.high, byte));
    const __m256i words = _mm256_permute4x64_epi64(mixed, 0xd8);
    store_128(p,
              _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }

  static QUANT_INLINE void store_u14x64(uint8_t* high, uint8_t* low, const I32x16 (&v)[4]) {
    const __m256i mask = _mm256_set1_epi16(127);
    for (int i = 0; i < 4; i += 2) {
      const __m256i first = _mm256_packs_epi32(v[i].low, v[i].high);
      const __m256i second = _mm256_packs_epi32(v[i + 1].low, v[i + 1].high);
      store_bytes(high + 16 * i, _mm256_srli_epi16(first, 7), _mm256_srli_epi16(second, 7));
      store_bytes(low + 16 * i, _mm256_and_si256(first, mask), _mm256_and_si256(second, mask));
    }
  }

  static QUANT_INLINE void store_u8x64(uint8_t* p, const I32x16 (&v)[4]) {
    for (int i = 0; i < 4; i += 2) {
      store_bytes(p + 16 * i, _mm256_packs_epi32(v[i].low, v[i].high),
                  _mm256_packs_epi32(v[i + 1].low, v[i + 1].high));
    }
  }

  // Four bytes in each lane.
  template <int Bytes>
  static QUANT_INLINE I32x16 load_bytes(const uint8_t* p) {
    return {load_256(p), Bytes == 64 ? load_256(p + 32) : _mm256_setzero_si256()};
  }
  static QUANT_INLINE I32x16 load_u16(const uint8_t* p) {
    return {_mm256_cvtepu16_epi32(load_128(p)), _mm256_cvtepu16_epi32(load_128(p + 16))};
  }
  template <int Left>
  static QUANT_INLINE I32x16 shift_i32(I32x16 v) {
    return {shift<Left>(v.low), shift<Left>(v.high)};
  }
  static QUANT_INLINE I32x16 and_i32(I32x16 a, I32x16 b) {
    return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
  }
  static QUANT_INLINE I32x16 or_i32(I32x16 a, I32x16 b) {
    return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
  }
  template <int From, int Count, int To>
  static QUANT_INLINE I32x16 byte_bits(I32x16 v) {
    const __m256i mask = _mm256_set1_epi8(static_cast<char>(((1 << Count) - 1) << To));
    return {_mm256_and_si256(shift<To - From>(v.low), mask),
            _mm256_and_si256(shift<To - From>(v.high), mask)};
  }
  template <int First, int To>
  static QUANT_INLINE I32x16 bits_to_bytes(I32x16 v) {
    return {spread_bits<First, To>(v.low), spread_bits<First, To>(v.high)};
  }
  static QUANT_INLINE I32x16 sub_bytes(I32x16 a, I32x16 b) {
    return {_mm256_sub_epi8(a.low, b.low), _mm256_sub_epi8(a.high, b.high)};
  }
  static QUANT_INLINE I32x16 lookup_bytes(U8x16 table, I32x16 index) {
    const __m256i both = _mm256_broadcastsi128_si256(table);
    return {_mm256_shuffle_epi8(both, index.low), _mm256_shuffle_epi8(both, index.high)};
  }
  template <int Index>
  static QUANT_INLINE I32x16 signed_byte(I32x16 v) {
    return {_mm256_srai_epi32(shift<24 - 8 * Index>(v.low), 24),
            _mm256_srai_epi32(shift<24 - 8 * Index>(v.high), 24)};
  }
  template <int Index>
  static QUANT_INLINE F32x16 half_of(I32x16 v) {
    const __m256i mask = _mm256_set1_epi32(0xffff);
    const __m256i mixed = _mm256_packus_epi32(_mm256_and_si256(shift<-16 * Index>(v.low), mask),
                                              _mm256_and_si256(shift<-16 * Index>(v.high), mask));
    const __m256i halves = _mm256_permute4x64_epi64(mixed, 0xd8);
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
            _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
  }
  static QUANT_INLINE void transpose(I32x16 (&r)[16]) {
    F32x16 f[16];
    for (int i = 0; i < 16; ++i) {
      f[i] = {_mm256_castsi256_ps(r[i].low), _mm256_castsi256_ps(r[i].high)};
    }
    transpose(f);
    for (int i = 0; i < 16; ++i) {
      r[i] = {_mm256_castps_si256(f[i].low), _mm256_castps_si256(f[i].high)};
    }
  }

  // Integer products. vpmaddubsw multiplies unsigned by signed bytes and adds pairs in 16 bits,
  // which hold two products of magnitudes up to 128 and 127, and more of smaller weights: a running
  // sum has two such words in each lane.
  template <int Most>
  static constexpr int kDotRun = Most == 0 ? 1 : 32767 / (2 * 127 * Most);
  template <int Most>
  static QUANT_INLINE DotWeights dot_weights(I32x16 v) {
    if constexpr (Most > 0) return {v, v};
    return {v, {_mm256_abs_epi8(v.low), _mm256_abs_epi8(v.high)}};
  }
  template <int Most>
  static QUANT_INLINE DotWeights lookup_weights(U8x16 table, I32x16 index) {
    return dot_weights<Most>(lookup_bytes(table, index));
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_start(int32_t) {
    return {_mm256_setzero_si256(), _mm256_setzero_si256()};
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_open(I32x16) {
    return {_mm256_setzero_si256(), _mm256_setzero_si256()};
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot4(I32x16 running, DotWeights w, const int8_t* x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    const __m256i inputs = _mm256_set1_epi32(four);
    const __m256i low = Most == 0 ? _mm256_sign_epi8(inputs, w.value.low) : inputs;
    const __m256i high = Most == 0 ? _mm256_sign_epi8(inputs, w.value.high) : inputs;
    return {_mm256_add_epi16(running.low, _mm256_maddubs_epi16(w.magnitude.low, low)),
            _mm256_add_epi16(running.high, _mm256_maddubs_epi16(w.magnitude.high, high))};
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_close(I32x16 total, I32x16 running) {
    return {_mm256_add_epi32(total.low, add_pairs(running.low)),
            _mm256_add_epi32(total.high, add_pairs(running.high))};
  }
  static QUANT_INLINE I32x16 dot4_mixed(I32x16 acc, I32x16 w, const uint8_t* x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    const __m256i inputs = _mm256_set1_epi32(four);
    return {_mm256_add_epi32(acc.low, add_pairs(_mm256_maddubs_epi16(inputs, w.low))),
            _mm256_add_epi32(acc.high, add_pairs(_mm256_maddubs_epi16(inputs, w.high)))};
  }
  static QUANT_INLINE I32x16 dot4_few(I32x16 acc, I32x16 w, const uint8_t* x) {
    return dot4_mixed(acc, w, x);
  }

  // The same with 16 bits.
  static QUANT_INLINE I32x16 pair_words(I32x16 a, I32x16 b) {
    return {_mm256_blend_epi16(a.low, _mm256_slli_epi32(b.low, 16), 0xaa),
            _mm256_blend_epi16(a.high, _mm256_slli_epi32(b.high, 16), 0xaa)};
  }
  static QUANT_INLINE I32x16 max_words(I32x16 a, I32x16 b) {
    return {_mm256_max_epi16(a.low, b.low), _mm256_max_epi16(a.high, b.high)};
  }
  static QUANT_INLINE I32x16 max_words_of_each(const I32x16 (&v)[16]) {
    __m256i four[4];  // lane 4·p + i: of row i and 128 bits p
    for (int g = 0; g < 4; ++g) {
      const auto two = [](const I32x16& a, const I32x16& b) __attribute__((always_inline)) {
        const __m256i first = _mm256_max_epi16(a.low, a.high);
        const __m256i second = _mm256_max_epi16(b.low, b.high);
        return _mm256_max_epi16(_mm256_unpacklo_epi32(first, second),
                                _mm256_unpackhi_epi32(first, second));
      };
      const __m256i a = two(v[4 * g], v[4 * g + 1]);
      const __m256i b = two(v[4 * g + 2], v[4 * g + 3]);
      four[g] = _mm256_max_epi16(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    }
    const auto blocks = [](__m256i a, __m256i b) __attribute__((always_inline)) {
      return _mm256_max_epi16(_mm256_permute2x128_si256(a, b, 0x20),
                              _mm256_permute2x128_si256(a, b, 0x31));
    };
    return {blocks(four[0], four[1]), blocks(four[2], four[3])};
  }
  static QUANT_INLINE I32x16 even_bytes(I32x16 v) {
    return odd_bytes({_mm256_slli_epi16(v.low, 8), _mm256_slli_epi16(v.high, 8)});
  }
  static QUANT_INLINE I32x16 odd_bytes(I32x16 v) {
    return {_mm256_srai_epi16(v.low, 8), _mm256_srai_epi16(v.high, 8)};
  }
  static QUANT_INLINE void store_i16_pairs(int16_t* p, I32x16 v) {
    const __m256i mixed = _mm256_permute4x64_epi64(_mm256_packs_epi32(v.low, v.high), 0xd8);
    const __m256i pairs = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(mixed, 0xd8), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), pairs);
  }
  static QUANT_INLINE I32x16 dot2(I32x16 acc, I32x16 w, const int16_t* x) {
    int32_t two;
    memcpy(&two, x, sizeof two);
    const __m256i inputs = _mm256_set1_epi32(two);
    return {_mm256_add_epi32(acc.low, _mm256_madd_epi16(w.low, inputs)),
            _mm256_add_epi32(acc.high, _mm256_madd_epi16(w.high, inputs))};
  }

  // Bytes.
  static QUANT_INLINE U8x16 load_u8(const uint8_t* p) { return load_128(p); }
  static QUANT_INLINE void store_u8(void* p, U8x16 v) { store_128(p, v); }
  static QUANT_INLINE U8x16 lookup_u8(U8x16 table, U8x16 index) {
    return _mm_shuffle_epi8(table, index);
  }

 private:
  /// Words of two vectors, each packed by _mm256_packs_epi32, as bytes in their order.
  static QUANT_INLINE void store_bytes(uint8_t* p, __m256i first, __m256i second) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_permutevar8x32_epi32(_mm256_packus_epi16(first, second), order));
  }
  static QUANT_INLINE __m128i load_64(const void* p) {
    return _mm_loadl_epi64(static_cast<const __m128i*>(p));
  }
  static QUANT_INLINE __m128i load_128(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }
  static QUANT_INLINE __m256i load_256(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  static QUANT_INLINE void store_128(void* p, __m128i v) {
    _mm_storeu_si128(static_cast<__m128i*>(p), v);
  }

  static QUANT_INLINE __m256 widen_bfloat(__m128i v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
  }
  static QUANT_INLINE __m256i round_bfloat(__m256 v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    return _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
  }
  static QUANT_INLINE __m256 times_power(__m256 v, __m256 t) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    const __m256i power = _mm256_add_epi32(exponent, _mm256_castps_si256(_mm256_set1_ps(1.0f)));
    return _mm256_mul_ps(v, _mm256_castsi256_ps(power));
  }
  static QUANT_INLINE __m256 lookup_8(F32x16 entries, __m256i index) {
    // Bit 3 of the index, moved to the sign, chooses between the halves of the table.
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(entries.low, index),
                            _mm256_permutevar8x32_ps(entries.high, index),
                            _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
  }
  /// Eight codes of 2, 3 or 4 bits.
  template <int Bits>
  static QUANT_INLINE __m256i unpack_8(const uint8_t* p) {
    const __m256i mask = _mm256_set1_epi32((1 << Bits) - 1);
    uint32_t word = 0;
    if constexpr (Bits == 3) {  // three bytes at once would go through memory
      uint16_t low;
      memcpy(&low, p, sizeof low);
      word = low | static_cast<uint32_t>(p[2]) << 16;
    } else {
      memcpy(&word, p, Bits);
    }
    const __m256i shifts =
        _mm256_setr_epi32(0, Bits, 2 * Bits, 3 * Bits, 4 * Bits, 5 * Bits, 6 * Bits, 7 * Bits);
    const __m256i words = _mm256_set1_epi32(static_cast<int32_t>(word));
    return _mm256_and_si256(_mm256_srlv_epi32(words, shifts), mask);
  }
  /// To the left, or to the right where Left is negative.
  template <int Left>
  static QUANT_INLINE __m256i shift(__m256i v) {
    if constexpr (Left > 0) v = _mm256_slli_epi32(v, Left);
    if constexpr (Left < 0) v = _mm256_srli_epi32(v, -Left);
    return v;
  }
  template <int First, int To>
  static QUANT_INLINE __m256i spread_bits(__m256i v) {
    static_assert(First % 4 == 0);  // all four bits come from one byte
    constexpr int kByte = First / 8 * 0x01010101;
    const __m256i from = _mm256_broadcastsi128_si256(
        _mm_setr_epi32(kByte, kByte + 0x04040404, kByte + 0x08080808, kByte + 0x0c0c0c0c));
    const __m256i each =
        _mm256_set1_epi32(First % 8 == 0 ? 0x08040201 : static_cast<int>(0x80402010));
    const __m256i bits = _mm256_and_si256(_mm256_shuffle_epi8(v, from), each);
    return _mm256_and_si256(_mm256_cmpeq_epi8(bits, each),
                            _mm256_set1_epi8(static_cast<char>(1 << To)));
  }
  /// Adds neighbouring words of 16 bits into 32 bits.
  static QUANT_INLINE __m256i add_pairs(__m256i v) {
    return _mm256_madd_epi16(v, _mm256_set1_epi16(1));
  }
  static QUANT_INLINE void transpose_8x8(__m256 (&r)[8]) {
    __m256 a[8];
    for (int i = 0; i < 8; i += 2) {
      a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    __m256 b[8];
    for (int i = 0; i < 8; i += 4) {
      b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
      b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
      b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
      b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
      r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
  }
};

}  // namespace quant
