// Products of packed weights with FP32 inputs: exact mode.
#pragma once

#include "formats/weight/code_tile.h"
#include "formats/weight/plain.h"
#include "simd/panel.h"

namespace quant {

/// Panel: CodePanel or FloatPanel.
template <class S, class Panel>
struct FloatProduct {
  static void decode_row(const std::byte* row, int64_t cols, float* out) {
    alignas(64) std::byte packed[kTileColumns * kPanelRows * sizeof(float)];
    typename Panel::Decoded decoded;
    const size_t row_bytes = Panel::row_bytes(kTileColumns);
    for (int64_t begin = 0; begin < cols; begin += kTileColumns, row += row_bytes) {
      const int n = tile_columns(cols, begin);
      Panel::pack(row, 0, 1, n, packed);
      const float* tile = Panel::decode(reinterpret_cast<const uint8_t*>(packed), n, decoded);
      for (int k = 0; k < n; ++k) out[begin + k] = tile[k * kPanelRows];
    }
  }

  static void product(const std::byte* panel, int64_t cols, const FloatInputs& x, float* out,
                      size_t out_stride) {
    typename Panel::Decoded decoded;
    const uint8_t* packed = reinterpret_cast<const uint8_t*>(panel);
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = tile_columns(cols, begin);
      const float* tile = Panel::decode(packed, n, decoded);
      if (begin == 0) {
        panel_product<S, false>(x.x, x.stride, x.m, n, tile, kPanelRows, out, out_stride);
      } else {
        panel_product<S, true>(x.x + begin, x.stride, x.m, n, tile, kPanelRows, out, out_stride);
      }
      packed += Panel::panel_bytes(n);
    }
  }
};

}  // namespace quant
