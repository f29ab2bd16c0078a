// Sixteen packed keys unpacked, one lane a row: what scores are computed from.
#pragma once

#include "formats/kv/key_panel.h"

namespace quant {

/// Sixteen rows as int8 codes in KvKeyPanel's order, with what they are multiples of.
struct KvTile {
  alignas(64) int8_t codes[kKvMaxHeadDim / 4][64];  // [d / 4][16 rows][4 codes]
  alignas(64) float scale[kKvMaxHeadDim / 16][16];  // [blocks][16 rows]
  alignas(64) float zero[kKvMaxHeadDim / 16][16];   // what a code of 0 stands for
};

template <class S, class Format>
struct KvTileSteps {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  using Panel = KvKeyPanel<S, Format>;
  using Rows = typename Panel::Rows;

  static void fill(Rows rows, int d, KvTile& tile) {
    for (int j = 0; j < d; j += 16) {
      I v[4];
      Panel::codes16(rows, j, v);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        S::store_i32(reinterpret_cast<int32_t*>(tile.codes[j / 4 + k]), Format::int8(v[k]));
      }
    }
    const int block = Panel::block(d);
    for (int b = 0; b * block < d; ++b) {
      const F scale = Panel::scale(rows, b);
      S::store(tile.scale[b], scale);
      if constexpr (Panel::kHasMinimum) {
        S::store(tile.zero[b], Format::zero(scale, Panel::minimum(rows, b)));
      }
    }
  }
};

}  // namespace quant
