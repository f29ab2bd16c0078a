// Sums of four rows of int8 values at a time, times weights of 14 bits: exact, whichever way an
// instruction set multiplies.
#pragma once

#include "formats/kv/row.h"

#define QUANT_KV_STEP static inline __attribute__((always_inline))

namespace quant {

// A sum has the rows of a chunk.
static_assert(kKvChunkRows * ((1LL << 14) - 1) * 127 < 1LL << 31);

/// Two bytes of seven bits a weight, each with a sum of its own.
///   Weights: codes of a query's weights, stored for 64 rows [i, i + 64) at a time;
///   Values: four rows in sixteen columns, row r in byte r of a lane;
///   add(sums, values, weights, i): rows [i, i + 4); total(sums): rounded once.
template <class S, bool Words = S::kInt8SumWords>
struct KvRowSums {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  struct Weights {
    alignas(64) uint8_t high[kKvChunkRows];
    alignas(64) uint8_t low[kKvChunkRows];
  };
  using Values = I;
  struct Sums {
    I high, low;
  };

  QUANT_KV_STEP void store(Weights& weights, int i, const I (&code)[4]) {
    S::store_u14x64(weights.high + i, weights.low + i, code);
  }
  QUANT_KV_STEP Values values(I bytes) { return bytes; }
  QUANT_KV_STEP Sums zero() { return {S::set1_i32(0), S::set1_i32(0)}; }
  QUANT_KV_STEP Sums add(Sums sums, Values values, const Weights& weights, int i) {
    return {S::dot4_mixed(sums.high, values, weights.high + i),
            S::dot4_mixed(sums.low, values, weights.low + i)};
  }
  QUANT_KV_STEP F total(Sums sums) {
    return S::fma(S::to_float(sums.high), S::set1(128.0f), S::to_float(sums.low));
  }
};

/// The same in words of 16 bits, for instruction sets that do not add products of bytes up in 32.
template <class S>
struct KvRowSums<S, true> {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  /// Rows 0, 2, 1, 3 of each four.
  struct Weights {
    alignas(64) int16_t word[kKvChunkRows];
  };
  struct Values {
    I even, odd;
  };
  using Sums = I;

  QUANT_KV_STEP void store(Weights& weights, int i, const I (&code)[4]) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) S::store_i16_pairs(weights.word + i + 16 * k, code[k]);
  }
  QUANT_KV_STEP Values values(I bytes) { return {S::even_bytes(bytes), S::odd_bytes(bytes)}; }
  QUANT_KV_STEP Sums zero() { return S::set1_i32(0); }
  QUANT_KV_STEP Sums add(Sums sums, Values values, const Weights& weights, int i) {
    sums = S::dot2(sums, values.even, weights.word + i);
    return S::dot2(sums, values.odd, weights.word + i + 2);
  }
  QUANT_KV_STEP F total(Sums sums) { return S::to_float(sums); }
};

}  // namespace quant

#undef QUANT_KV_STEP
