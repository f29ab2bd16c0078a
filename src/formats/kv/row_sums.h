// Sums of four rows of int8 values at a time, times weights rounded to integers: exact, whichever
// way an instruction set multiplies.
#pragma once

#include "base/inline.h"
#include "formats/kv/row.h"

namespace quant {

/// Whether weights of one byte are enough beside a format's codes, those of uniform_2b, whose own
/// error is far larger (decision 12). It takes codes without a sign: NEON multiplies bytes of one
/// kind.
template <class Format>
static constexpr bool kKvFewCodes = Format::kInt8Most > 0 && Format::kInt8Most < 4;

/// Weights of one byte for few codes, otherwise of two with seven bits each. A byte has a sum of
/// its own.
///   kTop: the largest weight; kRows: as many rows have the same step, fewer where it is coarse;
///   Weights: codes of a query's weights, stored for 64 rows [i, i + 64) at a time;
///   Values: four rows in sixteen columns, row r in byte r of a lane;
///   add(sums, values, weights, i): rows [i, i + 4); total(sums): rounded once.
template <class S, int Bytes>
struct KvByteSums {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  static constexpr int kBytes = Bytes;
  static constexpr int kTop = Bytes == 1 ? 255 : 127 * 128 + 127;
  static constexpr int kRows = Bytes == 1 ? kKvChunkRows / 2 : kKvChunkRows;
  static_assert(int64_t{kRows} * kTop * 127 < 1LL << 31);
  struct Weights {
    alignas(64) uint8_t byte[Bytes][kRows];
  };
  using Values = I;
  struct Sums {
    I byte[Bytes];  // the highest first
  };

  static QUANT_INLINE void store(Weights& weights, int i, const I (&code)[4]) {
    if constexpr (Bytes == 1) {
      S::store_u8x64(weights.byte[0] + i, code);
    } else {
      S::store_u14x64(weights.byte[0] + i, weights.byte[1] + i, code);
    }
  }
  static QUANT_INLINE Values values(I bytes) { return bytes; }
  static QUANT_INLINE Sums zero() {
    Sums sums;
    for (I& sum : sums.byte) sum = S::set1_i32(0);
    return sums;
  }
  static QUANT_INLINE Sums add(Sums sums, Values values, const Weights& weights, int i) {
    if constexpr (Bytes == 1) {
      return {S::dot4_few(sums.byte[0], values, weights.byte[0] + i)};
    } else {
      return {S::dot4_mixed(sums.byte[0], values, weights.byte[0] + i),
              S::dot4_mixed(sums.byte[1], values, weights.byte[1] + i)};
    }
  }
  static QUANT_INLINE F total(Sums sums) {
    if constexpr (Bytes == 1)
      return S::to_float(sums.byte[0]);
    else
      return S::fma(S::to_float(sums.byte[0]), S::set1(128.0f), S::to_float(sums.byte[1]));
  }
};

/// Two bytes in words of 16 bits, for instruction sets that do not add products of bytes up in 32.
template <class S>
struct KvWordSums {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  static constexpr int kTop = KvByteSums<S, 2>::kTop;
  static constexpr int kRows = KvByteSums<S, 2>::kRows;
  /// Rows 0, 2, 1, 3 of each four.
  struct Weights {
    alignas(64) int16_t word[kRows];
  };
  struct Values {
    I even, odd;
  };
  using Sums = I;

  static QUANT_INLINE void store(Weights& weights, int i, const I (&code)[4]) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) S::store_i16_pairs(weights.word + i + 16 * k, code[k]);
  }
  static QUANT_INLINE Values values(I bytes) { return {S::even_bytes(bytes), S::odd_bytes(bytes)}; }
  static QUANT_INLINE Sums zero() { return S::set1_i32(0); }
  static QUANT_INLINE Sums add(Sums sums, Values values, const Weights& weights, int i) {
    sums = S::dot2(sums, values.even, weights.word + i);
    return S::dot2(sums, values.odd, weights.word + i + 2);
  }
  static QUANT_INLINE F total(Sums sums) { return S::to_float(sums); }
};

/// What sums of values take: One byte, or two as Words or not.
template <class S, bool One, bool Words>
struct KvSumsOf {
  using Type = KvByteSums<S, One ? 1 : 2>;
};
template <class S>
struct KvSumsOf<S, false, true> {
  using Type = KvWordSums<S>;
};
template <class S, class Format>
using KvRowSums = typename KvSumsOf<S, kKvFewCodes<Format>, S::kInt8SumWords>::Type;

}  // namespace quant
