// Products of stored weights with FP32 inputs: exact mode.
#pragma once

#include "formats/weight/code_tile.h"
#include "formats/weight/plain.h"
#include "simd/panel.h"

namespace quant {

/// Panel: CodePanel or FloatPanel.
template <class S, class Panel>
struct FloatProduct {
  static void decode_row(const std::byte* row, int64_t cols, float* out) {
    typename Panel::Scratch scratch;
    alignas(64) float tile[kTileColumns][kPanelRows];
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = tile_columns(cols, begin);
      Panel::decode(reinterpret_cast<const uint8_t*>(row), 0, 1, begin, n, scratch, tile);
      for (int k = 0; k < n; ++k) out[begin + k] = tile[k][0];
    }
  }

  static void product(const std::byte* rows, size_t row_bytes, int n_rows, int64_t cols,
                      const FloatInputs& x, float* out, size_t out_stride) {
    typename Panel::Scratch scratch;
    alignas(64) float tile[kTileColumns][kPanelRows];
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = tile_columns(cols, begin);
      Panel::decode(reinterpret_cast<const uint8_t*>(rows), row_bytes, n_rows, begin, n, scratch,
                    tile);
      if (begin == 0) {
        panel_product<S, false>(x.x, x.stride, x.m, n, tile[0], kPanelRows, out, out_stride);
      } else {
        panel_product<S, true>(x.x + begin, x.stride, x.m, n, tile[0], kPanelRows, out, out_stride);
      }
    }
  }

 private:
  static int tile_columns(int64_t cols, int64_t begin) {
    return cols - begin < kTileColumns ? static_cast<int>(cols - begin) : kTileColumns;
  }
};

}  // namespace quant
