// fp32, fp16, bf16: rows of floats.
#pragma once

#include "formats/kv/kv_format.h"
#include "formats/kv/row.h"
#include "quant/kv_spec.h"

namespace quant {

template <class S>
struct KvFp32 {
  static constexpr KvType kType = KvType::kFp32;
  static constexpr const char* kName = "fp32";
  static constexpr const char* kSummary = "IEEE single, exact";
  static constexpr bool supports(int d) { return is_kv_head_dim(d); }
  static constexpr size_t row_bytes(int d) { return static_cast<size_t>(d) * 4; }

  static bool encode(const float* row, int d, uint8_t* out) {
    if (!KvRow<S>::all_finite(row, d)) return false;
    memcpy(out, row, row_bytes(d));
    return true;
  }
  static typename S::F32x16 values16(const uint8_t* row, int, int j) {
    return S::load(reinterpret_cast<const float*>(row) + j);
  }
};

template <class S>
struct KvFp16 {
  static constexpr KvType kType = KvType::kFp16;
  static constexpr const char* kName = "fp16";
  static constexpr const char* kSummary = "IEEE half";
  /// The smallest number that rounds to infinity.
  static constexpr float kOverflow = 65520.0f;
  static constexpr bool supports(int d) { return is_kv_head_dim(d); }
  static constexpr size_t row_bytes(int d) { return static_cast<size_t>(d) * 2; }

  static bool encode(const float* row, int d, uint8_t* out) {
    if (!KvRow<S>::all_finite(row, d) || KvRow<S>::max_magnitude(row, d) >= kOverflow) return false;
    for (int j = 0; j < d; j += 16) {
      S::store_half(reinterpret_cast<uint16_t*>(out) + j, S::load(row + j));
    }
    return true;
  }
  static typename S::F32x16 values16(const uint8_t* row, int, int j) {
    return S::load_half(reinterpret_cast<const uint16_t*>(row) + j);
  }
};

template <class S>
struct KvBf16 {
  static constexpr KvType kType = KvType::kBf16;
  static constexpr const char* kName = "bf16";
  static constexpr const char* kSummary = "bfloat16, rounded to nearest even";
  /// The smallest number that rounds to infinity.
  static constexpr float kOverflow = 0x1.ffp127f;
  static constexpr bool supports(int d) { return is_kv_head_dim(d); }
  static constexpr size_t row_bytes(int d) { return static_cast<size_t>(d) * 2; }

  static bool encode(const float* row, int d, uint8_t* out) {
    if (!KvRow<S>::all_finite(row, d) || KvRow<S>::max_magnitude(row, d) >= kOverflow) return false;
    for (int j = 0; j < d; j += 16) {
      S::store_bfloat(reinterpret_cast<uint16_t*>(out) + j, S::load(row + j));
    }
    return true;
  }
  static typename S::F32x16 values16(const uint8_t* row, int, int j) {
    return S::load_bfloat(reinterpret_cast<const uint16_t*>(row) + j);
  }
};

}  // namespace quant
