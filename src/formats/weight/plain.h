// F32, F16, BF16: weights stored as floats.
#pragma once

#include "formats/weight/code_tile.h"

namespace quant {

template <class S>
struct WeightF32 {
  static constexpr TensorType kType = TensorType::kF32;
  static constexpr int kBytes = 4;
  static typename S::F32x16 load(const uint8_t* p) {
    return S::load(reinterpret_cast<const float*>(p));
  }
};

template <class S>
struct WeightF16 {
  static constexpr TensorType kType = TensorType::kF16;
  static constexpr int kBytes = 2;
  static typename S::F32x16 load(const uint8_t* p) {
    return S::load_half(reinterpret_cast<const uint16_t*>(p));
  }
};

template <class S>
struct WeightBf16 {
  static constexpr TensorType kType = TensorType::kBF16;
  static constexpr int kBytes = 2;
  static typename S::F32x16 load(const uint8_t* p) {
    return S::load_bfloat(reinterpret_cast<const uint16_t*>(p));
  }
};

/// Panels of such a format: [cols][16] stored floats. The counterpart of CodePanel.
template <class S, class Format>
struct FloatPanel {
  static constexpr size_t row_bytes(int64_t cols) {
    return static_cast<size_t>(cols) * Format::kBytes;
  }
  static constexpr size_t panel_bytes(int64_t cols) { return kPanelRows * row_bytes(cols); }

  static void pack(const std::byte* rows, size_t row_bytes, int n_rows, int64_t cols,
                   std::byte* panel) {
    for (int r = 0; r < kPanelRows; ++r) {
      const std::byte* row = rows + static_cast<size_t>(r < n_rows ? r : n_rows - 1) * row_bytes;
      for (int64_t k = 0; k < cols; ++k) {
        memcpy(panel + (k * kPanelRows + r) * Format::kBytes, row + k * Format::kBytes,
               Format::kBytes);
      }
    }
  }

  struct Decoded {
    alignas(64) float values[kTileColumns][kPanelRows];
  };
  static const float* decode(const uint8_t* tile, int n, Decoded& out) {
    if constexpr (Format::kType == TensorType::kF32) return reinterpret_cast<const float*>(tile);
    for (int k = 0; k < n; ++k) {
      S::store(out.values[k], Format::load(tile + k * kPanelRows * Format::kBytes));
    }
    return out.values[0];
  }
};

}  // namespace quant
