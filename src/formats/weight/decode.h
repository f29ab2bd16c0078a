// Runs of stored values as FP32: what the two families of weight formats have in common.
#pragma once

#include "formats/weight/weight_format.h"

namespace quant {

/// Formats that store floats.
template <class S, class Format>
struct FloatDecoder {
  static constexpr int kBlock = 16;
  static void decode(const uint8_t* row, int64_t begin, int n, float* out) {
    for (int i = 0; i < n; i += 16) S::store(out + i, Format::load(row, begin + i));
  }
};

/// Formats that store codes and scales: scale·code (+ minimum), each step rounded.
template <class S, class Format>
struct CodeDecoder {
  static constexpr int kBlock = Format::kValues;
  static void decode(const uint8_t* row, int64_t begin, int n, float* out) {
    alignas(64) int8_t codes[Format::kValues];
    float scale[Format::kValues / Format::kSubBlock];
    float minimum[Format::kValues / Format::kSubBlock];
    const uint8_t* block = row + begin / Format::kValues * Format::kBytes;
    for (int at = 0; at < n; at += Format::kValues, block += Format::kBytes) {
      Format::decode(block, codes, scale, minimum);
      for (int i = 0; i < Format::kValues; i += 16) {
        const int sub = i / Format::kSubBlock;
        auto value = S::mul(S::to_float(S::load_i8(codes + i)), S::set1(scale[sub]));
        if constexpr (Format::kHasMinimum) value = S::add(value, S::set1(minimum[sub]));
        S::store(out + at + i, value);
      }
    }
  }
};

}  // namespace quant
