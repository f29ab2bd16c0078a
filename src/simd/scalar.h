// The vector vocabulary, and its plainest speaker.
//
// Every instruction set offers the same names over the same three vectors: sixteen floats, sixteen
// 32-bit integers, sixteen bytes. All of them give the same bits: operations are IEEE 754 element
// by element, fma rounds once, and reductions add lanes in one fixed tree (i + i+8, then i + i+4, i
// + i+2, i + i+1). A kernel written once on this vocabulary is therefore tested against Scalar for
// equality.
//
// Rules for code that is compiled with ISA flags (everything included by kernels/isa_*.cpp): no std
// templates, and no inline function of external linkage without the ISA tag in its mangled name.
// The linker keeps one copy of a weak symbol, and it may be the AVX-512 one.
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/half.h"

namespace quant {

struct Scalar {
  struct F32x16 {
    float lane[16];
  };
  struct I32x16 {
    int32_t lane[16];
  };
  struct U8x16 {
    uint8_t lane[16];
  };
  /// Sixty-four signed weights, four for each of sixteen outputs, prepared for dot4.
  struct DotWeights {
    int8_t byte[64];
  };
  /// How many bytes ahead of its use a stream of packed weights is fetched.
  static constexpr size_t kFetchAhead = 4096;
  /// Rows of x that a register-blocked product works on at once.
  static constexpr int kFloatRows = 1;
  static constexpr int kInt8Rows = 1;
  /// Columns of a row of int8 x that lie beside each other: 32 where Tiles multiply (amx.h).
  static constexpr int kInt8Columns = 4;
  /// Rows and columns (of sixteen) of x that a product works on at once where columns are cheap to
  /// keep beside each other.
  static constexpr int kBlockRows = 1;
  static constexpr int kBlockColumns = 1;
  static constexpr int kInt8BlockRows = 1;
  static constexpr int kInt8BlockColumns = 1;
  /// The same where rows of x are so few that more columns keep the multipliers busy.
  static constexpr int kInt8FewRows = kInt8BlockRows;
  static constexpr int kInt8FewColumns = kInt8BlockColumns;
  /// Rows of weights and columns (of sixteen) that a sum of rows works on at once.
  static constexpr int kInt8SumRows = 1;
  static constexpr int kInt8SumColumns = 1;
  /// Whether such sums with weights of two bytes are of words (dot2) or of bytes (dot4_mixed).
  static constexpr bool kInt8SumWords = true;
  /// The same with words: queries of a score; queries and columns (of sixteen) of a sum of rows.
  static constexpr int kWordRows = 1;
  static constexpr int kWordSumRows = 1;
  static constexpr int kWordSumColumns = 1;
  /// Lists that a softmax works on at once.
  static constexpr int kSoftmaxRows = 1;

  // Floats.
  static F32x16 zero() { return set1(0.0f); }
  static F32x16 set1(float x) {
    F32x16 r;
    for (float& lane : r.lane) lane = x;
    return r;
  }
  /// Loads and stores need no alignment.
  static F32x16 load(const float* p) {
    F32x16 r;
    memcpy(r.lane, p, sizeof r.lane);
    return r;
  }
  static void store(float* p, F32x16 v) { memcpy(p, v.lane, sizeof v.lane); }
  /// Stores the first n lanes, 0 <= n <= 16.
  static void store_partial(float* p, F32x16 v, int n) {
    memcpy(p, v.lane, static_cast<size_t>(n) * sizeof(float));
  }
  static F32x16 load_half(const uint16_t* p) {
    uint16_t half[16];
    memcpy(half, p, sizeof half);
    F32x16 r;
    for (int i = 0; i < 16; ++i) r.lane[i] = half_to_float(half[i]);
    return r;
  }
  static void store_half(uint16_t* p, F32x16 v) {
    uint16_t half[16];
    for (int i = 0; i < 16; ++i) half[i] = float_to_half(v.lane[i]);
    memcpy(p, half, sizeof half);
  }
  static F32x16 load_bfloat(const uint16_t* p) {
    uint16_t bfloat[16];
    memcpy(bfloat, p, sizeof bfloat);
    F32x16 r;
    for (int i = 0; i < 16; ++i) r.lane[i] = bfloat_to_float(bfloat[i]);
    return r;
  }
  /// No lane may be NaN.
  static void store_bfloat(uint16_t* p, F32x16 v) {
    uint16_t bfloat[16];
    for (int i = 0; i < 16; ++i) bfloat[i] = float_to_bfloat(v.lane[i]);
    memcpy(p, bfloat, sizeof bfloat);
  }
  static float half(uint16_t h) { return half_to_float(h); }
  static uint16_t to_half(float f) { return float_to_half(f); }

  static F32x16 add(F32x16 a, F32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] += b.lane[i];
    return a;
  }
  static F32x16 sub(F32x16 a, F32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] -= b.lane[i];
    return a;
  }
  static F32x16 mul(F32x16 a, F32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] *= b.lane[i];
    return a;
  }
  static F32x16 div(F32x16 a, F32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] /= b.lane[i];
    return a;
  }
  /// a·b + c, rounded once.
  static F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
    for (int i = 0; i < 16; ++i) c.lane[i] = __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return c;
  }
  static F32x16 abs(F32x16 a) {
    for (float& lane : a.lane) lane = __builtin_fabsf(lane);
    return a;
  }
  /// a > b ? a : b; b where either is NaN.
  static F32x16 max(F32x16 a, F32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return a;
  }
  static F32x16 min(F32x16 a, F32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    return a;
  }
  /// a < b ? x : y.
  static F32x16 select_less(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
    for (int i = 0; i < 16; ++i) x.lane[i] = a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i];
    return x;
  }
  static float reduce_add(F32x16 v) {
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) v.lane[i] += v.lane[i + half];
    }
    return v.lane[0];
  }
  static float reduce_max(F32x16 v) {
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) {
        v.lane[i] = v.lane[i] > v.lane[i + half] ? v.lane[i] : v.lane[i + half];
      }
    }
    return v.lane[0];
  }
  /// Rows become columns: lane j of row i moves to lane i of row j.
  static void transpose(F32x16 (&rows)[16]) {
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < i; ++j) {
        const float upper = rows[i].lane[j];
        rows[i].lane[j] = rows[j].lane[i];
        rows[j].lane[i] = upper;
      }
    }
  }
  /// Lane i becomes lane i XOR Distance; Distance is 1, 2, 4 or 8.
  template <int Distance>
  static F32x16 swap_lanes(F32x16 v) {
    F32x16 r;
    for (int i = 0; i < 16; ++i) r.lane[i] = v.lane[i ^ Distance];
    return r;
  }

  // 32-bit integers.
  static I32x16 set1_i32(int32_t x) {
    I32x16 r;
    for (int32_t& lane : r.lane) lane = x;
    return r;
  }
  static I32x16 load_i32(const int32_t* p) {
    I32x16 r;
    memcpy(r.lane, p, sizeof r.lane);
    return r;
  }
  static void store_i32(int32_t* p, I32x16 v) { memcpy(p, v.lane, sizeof v.lane); }
  static I32x16 add_i32(I32x16 a, I32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] += b.lane[i];
    return a;
  }
  static int32_t reduce_add_i32(I32x16 v) {
    int32_t sum = 0;
    for (const int32_t lane : v.lane) sum += lane;
    return sum;
  }
  /// The bits of floats.
  static I32x16 bits(F32x16 v) {
    I32x16 r;
    memcpy(r.lane, v.lane, sizeof r.lane);
    return r;
  }
  static F32x16 to_float(I32x16 v) {
    F32x16 r;
    for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(v.lane[i]);
    return r;
  }
  /// Nearest integer, ties to even; |v| < 2^22.
  static I32x16 to_int(F32x16 v) {
    I32x16 r;
    for (int i = 0; i < 16; ++i) {
      // Adding 1.5·2^23 leaves no fraction bits, so the addition itself rounds.
      const float rounded = (v.lane[i] + 12582912.0f) - 12582912.0f;
      r.lane[i] = static_cast<int32_t>(rounded);
    }
    return r;
  }
  /// v·2^n for t = 1.5·2^23 + n, whose lowest bits are n in [-126, 127]; n = -127 stands for a
  /// factor of 0. A v that is NaN stays NaN.
  static F32x16 scale_by_power_of_two(F32x16 v, F32x16 t) {
    for (int i = 0; i < 16; ++i) {
      uint32_t bits;
      memcpy(&bits, &t.lane[i], sizeof bits);
      bits = (bits << 23) + 0x3f800000u;
      float power;
      memcpy(&power, &bits, sizeof power);
      v.lane[i] *= power;
    }
    return v;
  }
  /// n + (a > b ? 1 : 0).
  static I32x16 count_greater(I32x16 n, F32x16 a, F32x16 b) {
    for (int i = 0; i < 16; ++i) n.lane[i] += a.lane[i] > b.lane[i] ? 1 : 0;
    return n;
  }
  /// table[index], each index in [0, 16).
  static F32x16 lookup(F32x16 table, I32x16 index) {
    F32x16 r;
    for (int i = 0; i < 16; ++i) r.lane[i] = table.lane[index.lane[i]];
    return r;
  }
  /// Sixteen codes of Bits bits (2, 3, 4 or 8) from a little-endian bit string: code i is bits
  /// [Bits·i, Bits·(i+1)) of the 2·Bits bytes at p. Reads no byte beyond them.
  template <int Bits>
  static I32x16 unpack(const uint8_t* p) {
    static_assert(Bits == 2 || Bits == 3 || Bits == 4 || Bits == 8);
    I32x16 r;
    for (int half = 0; half < 2; ++half) {
      uint64_t word = 0;
      memcpy(&word, p + half * Bits, Bits);
      for (int i = 0; i < 8; ++i) {
        r.lane[half * 8 + i] = static_cast<int32_t>((word >> (Bits * i)) & ((1u << Bits) - 1u));
      }
    }
    return r;
  }
  /// Sixteen signed bytes, widened.
  static I32x16 load_i8(const int8_t* p) {
    I32x16 r;
    for (int i = 0; i < 16; ++i) r.lane[i] = p[i];
    return r;
  }
  /// Stores the low byte of each lane.
  static void store_i8(int8_t* p, I32x16 v) {
    for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(v.lane[i]);
  }

  /// Sixty-four numbers of 8 bits.
  static void store_u8x64(uint8_t* p, const I32x16 (&v)[4]) {
    for (int i = 0; i < 64; ++i) p[i] = static_cast<uint8_t>(v[i / 16].lane[i % 16]);
  }
  /// Sixty-four numbers of 14 bits as seven high and seven low ones.
  static void store_u14x64(uint8_t* high, uint8_t* low, const I32x16 (&v)[4]) {
    for (int i = 0; i < 64; ++i) {
      const int32_t x = v[i / 16].lane[i % 16];
      high[i] = static_cast<uint8_t>(x >> 7);
      low[i] = static_cast<uint8_t>(x & 127);
    }
  }

  // Four bytes in each lane: how the codes of sixteen rows lie side by side.
  /// Bytes (32 or 64) bytes at p, then zeros.
  template <int Bytes>
  static I32x16 load_bytes(const uint8_t* p) {
    static_assert(Bytes == 32 || Bytes == 64);
    I32x16 r = {};
    memcpy(r.lane, p, Bytes);
    return r;
  }
  /// Sixteen unsigned 16-bit numbers, widened.
  static I32x16 load_u16(const uint8_t* p) {
    uint16_t number[16];
    memcpy(number, p, sizeof number);
    I32x16 r;
    for (int i = 0; i < 16; ++i) r.lane[i] = number[i];
    return r;
  }
  /// To the left, or to the right where Left is negative; zeros come in.
  template <int Left>
  static I32x16 shift_i32(I32x16 v) {
    for (int32_t& lane : v.lane) {
      const auto bits = static_cast<uint32_t>(lane);
      lane = static_cast<int32_t>(Left > 0 ? bits << (Left & 31) : bits >> (-Left & 31));
    }
    return v;
  }
  static I32x16 and_i32(I32x16 a, I32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] &= b.lane[i];
    return a;
  }
  static I32x16 or_i32(I32x16 a, I32x16 b) {
    for (int i = 0; i < 16; ++i) a.lane[i] |= b.lane[i];
    return a;
  }
  /// Bits [From, From + Count) of every byte, moved to bit To; all other bits become 0.
  template <int From, int Count, int To>
  static I32x16 byte_bits(I32x16 v) {
    constexpr uint32_t kMask = ((1u << Count) - 1u) * 0x01010101u;
    for (int32_t& lane : v.lane) {
      lane = static_cast<int32_t>(((static_cast<uint32_t>(lane) >> From) & kMask) << To);
    }
    return v;
  }
  /// Bits First to First + 3 of every lane (First a multiple of 4), each moved to bit To of its own
  /// byte.
  template <int First, int To>
  static I32x16 bits_to_bytes(I32x16 v) {
    static_assert(First % 4 == 0);
    for (int32_t& lane : v.lane) {
      const uint32_t bits = (static_cast<uint32_t>(lane) >> First) & 15u;
      // The factor puts bit i at 8·i + To, among others that the mask removes.
      lane = static_cast<int32_t>((bits * (0x00204081u << To)) & (0x01010101u << To));
    }
    return v;
  }
  /// a - b byte by byte, modulo 256.
  static I32x16 sub_bytes(I32x16 a, I32x16 b) {
    uint8_t x[64];
    uint8_t y[64];
    memcpy(x, a.lane, sizeof x);
    memcpy(y, b.lane, sizeof y);
    for (int i = 0; i < 64; ++i) x[i] = static_cast<uint8_t>(x[i] - y[i]);
    memcpy(a.lane, x, sizeof x);
    return a;
  }
  /// table[index] byte by byte, each index in [0, 16).
  static I32x16 lookup_bytes(U8x16 table, I32x16 index) {
    uint8_t x[64];
    memcpy(x, index.lane, sizeof x);
    for (uint8_t& byte : x) byte = table.lane[byte & 15];
    memcpy(index.lane, x, sizeof x);
    return index;
  }
  /// Byte Index of each lane (0 = lowest), its sign extended.
  template <int Index>
  static I32x16 signed_byte(I32x16 v) {
    for (int32_t& lane : v.lane) {
      lane = static_cast<int8_t>(static_cast<uint32_t>(lane) >> (8 * Index));
    }
    return v;
  }
  /// The half float in the low (0) or high (1) 16 bits of each lane.
  template <int Index>
  static F32x16 half_of(I32x16 v) {
    F32x16 r;
    for (int i = 0; i < 16; ++i) {
      const uint32_t bits = static_cast<uint32_t>(v.lane[i]) >> (16 * Index);
      r.lane[i] = half_to_float(static_cast<uint16_t>(bits));
    }
    return r;
  }
  static void transpose(I32x16 (&rows)[16]) {
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < i; ++j) {
        const int32_t upper = rows[i].lane[j];
        rows[i].lane[j] = rows[j].lane[i];
        rows[j].lane[i] = upper;
      }
    }
  }

  // Integer products: lane n of a sum gains Σ_k w[n][k]·x[k] over four k. Most, up to 127, says
  // that weights lie in [0, Most], for which some instruction sets have a shorter way; 0, that they
  // are any signed bytes. A running sum, which may have 16 bits, takes kDotRun<Most> products:
  //   total = dot_start(…); running = dot_open(total); running = dot4(running, …) up to kDotRun
  //   times; total = dot_close(total, running).
  template <int Most>
  static constexpr int kDotRun = 64;
  template <int Most>
  static DotWeights dot_weights(I32x16 v) {
    DotWeights r;
    memcpy(r.byte, v.lane, sizeof r.byte);
    return r;
  }
  /// dot_weights of lookup_bytes(table, index): what is done to weights can be done to the table.
  template <int Most>
  static DotWeights lookup_weights(U8x16 table, I32x16 index) {
    return dot_weights<Most>(lookup_bytes(table, index));
  }
  /// Where a total must start, given the sum of all its x: instructions that want unsigned weights
  /// add 128 to them, and this takes 128·x_sum away again.
  template <int Most>
  static I32x16 dot_start(int32_t x_sum) {
    (void)x_sum;
    return set1_i32(0);
  }
  template <int Most>
  static I32x16 dot_open(I32x16 total) {
    return total;
  }
  /// x: four signed bytes in [-127, 127].
  template <int Most>
  static I32x16 dot4(I32x16 running, DotWeights w, const int8_t* x) {
    for (int n = 0; n < 16; ++n) {
      for (int k = 0; k < 4; ++k) running.lane[n] += w.byte[4 * n + k] * x[k];
    }
    return running;
  }
  template <int Most>
  static I32x16 dot_close(I32x16, I32x16 running) {
    return running;
  }
  /// Lane n of acc gains the sum over four k of w[n][k]·x[k]: signed bytes w in [-127, 127], four
  /// bytes x in [0, 127].
  static I32x16 dot4_mixed(I32x16 acc, I32x16 w, const uint8_t* x) {
    int8_t byte[64];
    memcpy(byte, w.lane, sizeof byte);
    for (int n = 0; n < 16; ++n) {
      for (int k = 0; k < 4; ++k) acc.lane[n] += byte[4 * n + k] * x[k];
    }
    return acc;
  }
  /// The same with bytes w in [0, 3] and x in [0, 255].
  static I32x16 dot4_few(I32x16 acc, I32x16 w, const uint8_t* x) { return dot4_mixed(acc, w, x); }

  // The same with 16 bits: two signed words in each lane.
  /// The lower words of each lane, b's above a's.
  static I32x16 pair_words(I32x16 a, I32x16 b) {
    for (int i = 0; i < 16; ++i) {
      a.lane[i] = static_cast<int32_t>((static_cast<uint32_t>(a.lane[i]) & 0xffff) |
                                       static_cast<uint32_t>(b.lane[i]) << 16);
    }
    return a;
  }
  /// The larger of signed words.
  static I32x16 max_words(I32x16 a, I32x16 b) {
    int16_t x[32];
    int16_t y[32];
    memcpy(x, a.lane, sizeof x);
    memcpy(y, b.lane, sizeof y);
    for (int i = 0; i < 32; ++i) x[i] = x[i] > y[i] ? x[i] : y[i];
    memcpy(a.lane, x, sizeof x);
    return a;
  }
  /// Of words that are not negative: one of lane r's two is the largest of v[r], the other no
  /// larger.
  static I32x16 max_words_of_each(const I32x16 (&v)[16]) {
    I32x16 r = {};
    for (int i = 0; i < 16; ++i) {
      int16_t word[32];
      memcpy(word, v[i].lane, sizeof word);
      for (const int16_t x : word) r.lane[i] = x > r.lane[i] ? x : r.lane[i];
    }
    return r;
  }
  /// Bytes 0 and 2 of each lane, and bytes 1 and 3.
  static I32x16 even_bytes(I32x16 v) { return words_of_bytes(v, 0); }
  static I32x16 odd_bytes(I32x16 v) { return words_of_bytes(v, 1); }
  /// Stores sixteen lanes, which fit 16 bits, of each four in the order 0, 2, 1, 3.
  static void store_i16_pairs(int16_t* p, I32x16 v) {
    for (int i = 0; i < 16; ++i)
      p[i / 4 * 4 + i % 2 * 2 + i / 2 % 2] = static_cast<int16_t>(v.lane[i]);
  }
  /// Lane n of acc gains w[n][0]·x[0] + w[n][1]·x[1]. Wraps: lanes that nobody reads may hold
  /// anything.
  static I32x16 dot2(I32x16 acc, I32x16 w, const int16_t* x) {
    int16_t word[32];
    memcpy(word, w.lane, sizeof word);
    for (int n = 0; n < 16; ++n) {
      for (int k = 0; k < 2; ++k) {
        acc.lane[n] = static_cast<int32_t>(static_cast<uint32_t>(acc.lane[n]) +
                                           static_cast<uint32_t>(word[2 * n + k] * x[k]));
      }
    }
    return acc;
  }

  // Bytes.
  static U8x16 load_u8(const uint8_t* p) {
    U8x16 r;
    memcpy(r.lane, p, sizeof r.lane);
    return r;
  }
  static void store_u8(void* p, U8x16 v) { memcpy(p, v.lane, sizeof v.lane); }
  /// table[index], each index in [0, 16).
  static U8x16 lookup_u8(U8x16 table, U8x16 index) {
    for (uint8_t& lane : index.lane) lane = table.lane[lane & 15];
    return index;
  }

 private:
  static I32x16 words_of_bytes(I32x16 v, int first) {
    int8_t byte[64];
    int16_t word[32];
    memcpy(byte, v.lane, sizeof byte);
    for (int i = 0; i < 32; ++i) word[i] = byte[2 * i + first];
    memcpy(v.lane, word, sizeof word);
    return v;
  }
};

}  // namespace quant
