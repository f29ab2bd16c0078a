// Products of packed weights with FP32 inputs: exact mode.
#pragma once

#include "formats/weight/code_tile.h"
#include "formats/weight/plain.h"
#include "simd/panel.h"

namespace quant {

/// Groups of FloatInputs.
template <class S>
struct FloatGroups {
  static_assert(S::kFloatRows <= 16);
  /// x [g][cols] to out [cols][g], g at most S::kFloatRows.
  static void interleave(const float* x, int g, int64_t cols, float* out) {
    for (int64_t k = 0; k < cols; k += 16) {
      typename S::F32x16 block[16];
      for (int i = 0; i < g; ++i) block[i] = S::load(x + i * cols + k);
      for (int i = g; i < 16; ++i) block[i] = S::zero();
      S::transpose(block);
      for (int j = 0; j < 16; ++j) {
        // The next columns overwrite what is beyond g; behind the last one another group begins.
        const int64_t at = (k + j) * g;
        if (at + 16 <= cols * g) {
          S::store(out + at, block[j]);
        } else {
          S::store_partial(out + at, block[j], g);
        }
      }
    }
  }
};

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
      for (int first = 0; first < x.m; first += kGroup) {
        const int g = x.m - first < kGroup ? x.m - first : kGroup;
        const Interleaved group{x.x + first * cols + begin * g, static_cast<size_t>(g)};
        float* sums = out + static_cast<size_t>(first) * out_stride;
        if (begin == 0) {
          panel_product<S, false>(group, g, n, tile, kPanelRows, sums, out_stride);
        } else {
          panel_product<S, true>(group, g, n, tile, kPanelRows, sums, out_stride);
        }
      }
      packed += Panel::panel_bytes(n);
    }
  }

 private:
  static constexpr int kGroup = S::kFloatRows;
};

}  // namespace quant
