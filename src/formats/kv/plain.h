// fp32, fp16, bf16: rows as they are, rounded.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quant/kv_spec.h"

namespace quant {

/// What formats whose codes live in the row's own basis have in common.
template <class S>
struct OwnBasis {
  static void rotate(float*, int) {}
  static void unrotate(float*, int) {}

  /// Whether all values are finite and at most `limit` in magnitude.
  static bool within(const float* row, int d, float limit) {
    auto inside = S::set1_i32(0);
    for (int j = 0; j < d; j += 16) {
      inside = S::count_greater(inside, S::set1(limit), S::abs(S::load(row + j)));
    }
    return S::reduce_add_i32(inside) == d;
  }
  /// Values of this magnitude or more would round to infinity in fp16.
  static constexpr float kHalfOverflow = 65520.0f;
};

template <class S>
struct KvFp32 : OwnBasis<S> {
  static constexpr KvType kType = KvType::kFp32;
  static constexpr const char* kName = "fp32";
  static constexpr const char* kSummary = "exact; the baseline";
  static constexpr size_t row_bytes(int d) { return static_cast<size_t>(d) * sizeof(float); }
  static bool encode(const float* row, int d, uint8_t* out) {
    memcpy(out, row, row_bytes(d));
    return OwnBasis<S>::within(row, d, __builtin_inff());
  }
  static typename S::F32x16 decode16(const uint8_t* row, int, int j) {
    return S::load(reinterpret_cast<const float*>(row) + j);
  }
};

template <class S>
struct KvFp16 : OwnBasis<S> {
  static constexpr KvType kType = KvType::kFp16;
  static constexpr const char* kName = "fp16";
  static constexpr const char* kSummary = "half precision; the default";
  static constexpr size_t row_bytes(int d) { return static_cast<size_t>(d) * sizeof(uint16_t); }
  static bool encode(const float* row, int d, uint8_t* out) {
    uint16_t* halves = reinterpret_cast<uint16_t*>(out);
    for (int j = 0; j < d; j += 16) S::store_half(halves + j, S::load(row + j));
    return OwnBasis<S>::within(row, d, OwnBasis<S>::kHalfOverflow);
  }
  static typename S::F32x16 decode16(const uint8_t* row, int, int j) {
    return S::load_half(reinterpret_cast<const uint16_t*>(row) + j);
  }
};

template <class S>
struct KvBf16 : OwnBasis<S> {
  static constexpr KvType kType = KvType::kBf16;
  static constexpr const char* kName = "bf16";
  static constexpr const char* kSummary = "FP32's range with 8 bits of precision";
  static constexpr size_t row_bytes(int d) { return static_cast<size_t>(d) * sizeof(uint16_t); }
  static bool encode(const float* row, int d, uint8_t* out) {
    for (int j = 0; j < d; ++j) {
      uint32_t bits;
      memcpy(&bits, row + j, sizeof bits);
      const uint16_t rounded = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
      memcpy(out + 2 * j, &rounded, sizeof rounded);
    }
    return OwnBasis<S>::within(row, d, 0x1.ffp127f);
  }
  static typename S::F32x16 decode16(const uint8_t* row, int, int j) {
    return S::load_bfloat(reinterpret_cast<const uint16_t*>(row) + j);
  }
};

}  // namespace quant
