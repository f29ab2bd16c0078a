// F32, F16, BF16: weights stored as floats.
#pragma once

#include "formats/weight/weight_format.h"

namespace quant {

template <class S>
struct WeightF32 {
  static constexpr TensorType kType = TensorType::kF32;
  static typename S::F32x16 load(const uint8_t* row, int64_t k) {
    return S::load(reinterpret_cast<const float*>(row) + k);
  }
};

template <class S>
struct WeightF16 {
  static constexpr TensorType kType = TensorType::kF16;
  static typename S::F32x16 load(const uint8_t* row, int64_t k) {
    return S::load_half(reinterpret_cast<const uint16_t*>(row) + k);
  }
};

template <class S>
struct WeightBf16 {
  static constexpr TensorType kType = TensorType::kBF16;
  static typename S::F32x16 load(const uint8_t* row, int64_t k) {
    return S::load_bfloat(reinterpret_cast<const uint16_t*>(row) + k);
  }
};

}  // namespace quant
