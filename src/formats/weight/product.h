// Products of stored weights with FP32 inputs: exact mode.
#pragma once

#include "formats/weight/weight_format.h"
#include "kernels/panel.h"

namespace quant {

/// Columns that are decoded at a time: a tile of FP32 weights is then 16 KiB and stays in the L1
/// cache while all inputs pass over it.
static constexpr int kTileColumns = 256;

template <class S, class Decoder>
struct FloatProduct {
  static void decode_row(const std::byte* row, int64_t cols, float* out) {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(row);
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      Decoder::decode(bytes, begin, tile_columns(cols, begin), out + begin);
    }
  }

  static void product(const std::byte* rows, size_t row_bytes, int n_rows, int64_t cols,
                      const FloatInputs& x, float* out, size_t out_stride) {
    alignas(64) float tile[kTileColumns * kPanelRows];
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = tile_columns(cols, begin);
      fill_tile(reinterpret_cast<const uint8_t*>(rows), row_bytes, n_rows, begin, n, tile);
      if (begin == 0) {
        panel_product<S, false>(x.x, x.stride, x.m, n, tile, kPanelRows, out, out_stride);
      } else {
        panel_product<S, true>(x.x + begin, x.stride, x.m, n, tile, kPanelRows, out, out_stride);
      }
    }
  }

 private:
  static int tile_columns(int64_t cols, int64_t begin) {
    return cols - begin < kTileColumns ? static_cast<int>(cols - begin) : kTileColumns;
  }

  /// tile[k][r] = W[r][begin + k]; rows beyond n_rows repeat the last one.
  static void fill_tile(const uint8_t* rows, size_t row_bytes, int n_rows, int64_t begin, int n,
                        float* tile) {
    alignas(64) float decoded[kPanelRows][kTileColumns];
    for (int r = 0; r < kPanelRows; ++r) {
      const int row = r < n_rows ? r : n_rows - 1;
      Decoder::decode(rows + static_cast<size_t>(row) * row_bytes, begin, n, decoded[r]);
    }
    for (int k = 0; k < n; k += 16) {
      typename S::F32x16 block[16];
      for (int r = 0; r < 16; ++r) block[r] = S::load(decoded[r] + k);
      S::transpose(block);
      for (int r = 0; r < 16; ++r) S::store(tile + (k + r) * kPanelRows, block[r]);
    }
  }
};

}  // namespace quant
