// F32, F16, BF16: weights stored as floats.
#pragma once

#include "formats/weight/weight_format.h"

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

/// Reads tiles of such a format: the counterpart of CodePanel.
template <class S, class Format>
struct FloatPanel {
  struct Scratch {};

  static void decode(const uint8_t* rows, size_t row_bytes, int n_rows, int64_t begin, int n,
                     Scratch&, float (*out)[kPanelRows]) {
    for (int k = 0; k < n; k += 16) {
      typename S::F32x16 block[16];
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r) {
        const int row = r < n_rows ? r : n_rows - 1;
        const uint8_t* from =
            rows + static_cast<size_t>(row) * row_bytes + (begin + k) * Format::kBytes;
        __builtin_prefetch(from + kPanelRows * row_bytes, 0, 2);  // the next panel, as in CodePanel
        block[r] = Format::load(from);
      }
      S::transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) S::store(out[k + i], block[i]);
    }
  }
};

}  // namespace quant
