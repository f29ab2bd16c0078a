// Products that touch no memory: the peak of the machine. Included only by kernels/isa_*.cpp.
#pragma once

#include <stdint.h>

#include "formats/weight/weight_format.h"
#include "simd/tiles.h"

namespace quant {

template <class S>
struct FloatBurst {
  static constexpr int kProducts = 12 * 16;  // of a step

  static float run(int64_t n) {
    using F = typename S::F32x16;
    F acc[12];
    for (F& a : acc) a = S::set1(1.0f);
    const F factor = S::set1(0.999f);
    const F step = S::set1(0.001f);
    for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
      for (F& a : acc) a = S::fma(a, factor, step);
    }
    for (int i = 1; i < 12; ++i) acc[0] = S::add(acc[0], acc[i]);
    return S::reduce_add(acc[0]);
  }
};

template <class S>
struct Int8Burst {
  static constexpr int kProducts = 12 * 64;

  static float run(int64_t n) {
    const int8_t bytes[64] = {1, 2, 3, 4};
    const auto weights = S::dot_weights(S::load_i32(reinterpret_cast<const int32_t*>(bytes)));
    typename S::I32x16 acc[12];
    for (auto& a : acc) a = S::set1_i32(0);
    for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
      for (auto& a : acc) a = S::dot4(a, weights, bytes);
    }
    for (int i = 1; i < 12; ++i) acc[0] = S::add_i32(acc[0], acc[i]);
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
