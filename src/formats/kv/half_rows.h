// Rows of fp16 as integers of a word, sixteen rows at a time.
#pragma once

#include "base/inline.h"
#include "formats/kv/row.h"

namespace quant {

/// A row's largest magnitude has Bits bits, its highest the power of two at or below it. Numbers of
/// fp16 have eleven bits, so that those near the largest are whole units; smaller ones are rounded
/// to whole units, half to even.
template <class S, int Bits>
struct KvHalfRows {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  static_assert(Bits >= 11 && Bits <= 15);
  /// No integer is larger.
  static constexpr int kMost = 2047 << (Bits - 11);
  /// Σ |x| of integers x that a sum of products with a row's integers may meet, less the half that
  /// rounding may add to each of 512 and as much again for the rounding of the sum itself.
  static constexpr float kMostSum = static_cast<float>(INT32_MAX / kMost - 512);
  static constexpr float kMostWord = 32767.0f;
  static_assert(kKvChunkRows <= 512 && kKvMaxHeadDim <= 512);

  /// Of sixteen rows.
  struct Units {
    F unit;
    F round;  // added to a value, it leaves the integer in the low bits
  };

  /// Sixteen rows of d values, one after the other. Units are finite even where no row was stored.
  static QUANT_INLINE Units measure(const uint8_t* rows, int d) {
    I largest[16];
    if (d == 64) {
      find_largest<64>(rows, d, largest);
    } else {
      find_largest<0>(rows, d, largest);
    }
    const I pairs = S::max_words_of_each(largest);
    const I top = S::max_words(pairs, S::template shift_i32<-16>(pairs));
    const I exponent = S::template shift_i32<-10>(S::and_i32(top, S::set1_i32(0x7c00)));
    const F power = S::add(S::to_float(exponent), S::set1(0x1.8p23f));
    return {S::scale_by_power_of_two(S::set1(kUnit), power),
            S::scale_by_power_of_two(S::set1(kUnit * 0x1.8p23f), power)};
  }

  /// Two values' integers, a's in the low half of each lane.
  static QUANT_INLINE I pair(F a, float round_a, F b, float round_b) {
    return S::pair_words(S::bits(S::add(a, S::set1(round_a))),
                         S::bits(S::add(b, S::set1(round_b))));
  }
  /// x in steps of 1 / inverse. A NaN must not reach to_int.
  static QUANT_INLINE I word(F x, float inverse) {
    const F code = S::mul(x, S::set1(inverse));
    return S::to_int(S::max(S::min(code, S::set1(kMostWord)), S::set1(-kMostWord)));
  }
  /// The step for x, of the largest magnitude `largest` and the sum of magnitudes `sum`; 0 where
  /// all that x could add is nothing beside any value.
  static QUANT_INLINE float step(float largest, float sum) {
    const float most = largest / kMostWord;
    const float of_sum = sum / kMostSum;
    const float step = most > of_sum ? most : of_sum;
    return step < 1e-35f ? 0.0f : step;
  }
  static QUANT_INLINE float inverse_of(float step) { return step > 0.0f ? 1.0f / step : 0.0f; }

 private:
  /// The unit where fp16's exponent field is 0: its powers of two begin at 2^-15.
  static constexpr float kUnit = 0x1p-14f / static_cast<float>(1 << Bits);

  /// largest[r]: words whose largest is row r's largest magnitude. D: d, if the compiler may know
  /// it, or 0.
  template <int D>
  static QUANT_INLINE void find_largest(const uint8_t* rows, int d, I (&largest)[16]) {
    if constexpr (D > 0) d = D;
    const I magnitude = S::set1_i32(0x7fff7fff);
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r, rows += 2 * d) {
      I top = S::set1_i32(0);
      int j = 0;
      for (; j + 32 <= d; j += 32) {
        const I halves = S::template load_bytes<64>(rows + 2 * j);
        top = S::max_words(top, S::and_i32(halves, magnitude));
      }
      if (j < d) {
        const I halves = S::template load_bytes<32>(rows + 2 * j);
        top = S::max_words(top, S::and_i32(halves, magnitude));
      }
      largest[r] = top;
    }
  }
};

}  // namespace quant
