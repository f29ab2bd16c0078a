// Products of what is in registers and the L1 cache: the peak of the machine. Included only by
// kernels/isa_*.cpp.
#pragma once

#include <stdint.h>

#include "formats/weight/weight_format.h"
#include "simd/tiles.h"

namespace quant {

/// Makes an array unknown to the compiler, which would leave out products that it can foresee. It
/// names no other memory: sums would leave their registers.
template <class T>
static inline void forget(T& memory) {
  asm volatile("" : "+m"(memory));
}

template <class S>
struct FloatBurst {
  static constexpr int kSums = S::kFloatRows;   // what registers hold
  static constexpr int kProducts = kSums * 16;  // of a step

  static float run(int64_t n) {
    using F = typename S::F32x16;
    alignas(64) float start[kSums][16] = {};
    alignas(64) float step[16] = {};
    forget(start);
    forget(step);
    F acc[kSums];
#pragma GCC unroll 16
    for (int s = 0; s < kSums; ++s) acc[s] = S::load(start[s]);
    const F factor = S::set1(0.999f);
    const F term = S::load(step);
    for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 16
      for (F& a : acc) a = S::fma(a, factor, term);
    }
#pragma GCC unroll 16
    for (int i = 1; i < kSums; ++i) acc[0] = S::add(acc[0], acc[i]);
    return S::reduce_add(acc[0]);
  }
};

template <class S>
struct Int8Burst {
  static constexpr int kSums = S::kFloatRows;  // what registers hold
  static constexpr int kRun = 8;               // words of a block of 32 weights
  static constexpr int kMost = 15;             // of four bits
  static_assert(kRun <= S::template kDotRun<kMost>);
  static constexpr int kProducts = kSums * kRun * 64;

  static float run(int64_t n) {
    int8_t bytes[64] = {1, 2, 3, 4};
    forget(bytes);
    const auto weights =
        S::template dot_weights<kMost>(S::load_i32(reinterpret_cast<const int32_t*>(bytes)));
    int8_t inputs[kRun][kSums][4] = {{{1, 2, 3, 4}}};
    typename S::I32x16 acc[kSums];
#pragma GCC unroll 16
    for (auto& a : acc) a = S::set1_i32(0);
    for (int64_t i = 0; i < n; ++i) {
      forget(inputs);
      typename S::I32x16 running[kSums];
#pragma GCC unroll 16
      for (int s = 0; s < kSums; ++s) running[s] = S::template dot_open<kMost>(acc[s]);
#pragma GCC unroll 8
      for (int k = 0; k < kRun; ++k) {
#pragma GCC unroll 16
        for (int s = 0; s < kSums; ++s) {
          running[s] = S::template dot4<kMost>(running[s], weights, inputs[k][s]);
        }
      }
#pragma GCC unroll 16
      for (int s = 0; s < kSums; ++s) acc[s] = S::template dot_close<kMost>(acc[s], running[s]);
    }
#pragma GCC unroll 16
    for (int s = 1; s < kSums; ++s) acc[0] = S::add_i32(acc[0], acc[s]);
    return S::reduce_add(S::to_float(acc[0]));
  }
};

/// Of full tiles of 64 columns. Products of weights have sums of 32 or 16 columns to scale, and so
/// reach a half or a quarter of this at most. Two chains keep the unit as busy as four did.
template <HasTiles S>
struct Int8Burst<S> {
  static constexpr int kProducts = 2 * 16 * kPanelRows * 64;

  static float run(int64_t n) {
    typename S::template Tiles<64> tiles(0);
    alignas(64) int32_t bytes[16][16] = {{1, 2, 3, 4}};
    tiles.template clear<0>();
    tiles.template clear<1>();
    tiles.template add<0>(bytes, sizeof bytes[0], bytes, sizeof bytes[0]);
    tiles.template add<1>(bytes, sizeof bytes[0], bytes, sizeof bytes[0]);
    for (int64_t i = 1; i < n; ++i) {
      tiles.template multiply<0>();
      tiles.template multiply<1>();
    }
    tiles.template store<0>(bytes);
    return static_cast<float>(bytes[0][0]);
  }
};

}  // namespace quant
