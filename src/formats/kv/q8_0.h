// q8_0: blocks of 32 values, {fp16 scale, int8 codes}; the last block of a row may hold 16.
#pragma once

#include "formats/kv/plain.h"

namespace quant {

template <class S>
struct KvQ8_0 : OwnBasis<S> {
  static constexpr KvType kType = KvType::kQ8_0;
  static constexpr const char* kName = "q8_0";
  static constexpr const char* kSummary = "8-bit codes, fp16 scale a block of 32";
  static constexpr int kBlock = 32;
  static constexpr size_t kScaleBytes = 2;
  static constexpr size_t row_bytes(int d) {
    return static_cast<size_t>(d) + kScaleBytes * static_cast<size_t>((d + kBlock - 1) / kBlock);
  }

  static bool encode(const float* row, int d, uint8_t* out) {
    if (!OwnBasis<S>::within(row, d, 127.0f * OwnBasis<S>::kHalfOverflow)) return false;
    for (int begin = 0; begin < d; begin += kBlock) {
      const int n = d - begin < kBlock ? d - begin : kBlock;
      auto largest = S::abs(S::load(row + begin));
      if (n == kBlock) largest = S::max(largest, S::abs(S::load(row + begin + 16)));
      const uint16_t stored = S::to_half(S::reduce_max(largest) / 127.0f);
      memcpy(out, &stored, kScaleBytes);
      out += kScaleBytes;
      // Codes are chosen for the rounded scale, which may be a little too small for the largest
      // value.
      const float scale = S::half(stored);
      const auto inverse = S::set1(scale > 0.0f ? 1.0f / scale : 0.0f);
      for (int j = 0; j < n; j += 16) {
        auto code = S::mul(S::load(row + begin + j), inverse);
        code = S::max(S::min(code, S::set1(127.0f)), S::set1(-127.0f));
        S::store_i8(reinterpret_cast<int8_t*>(out) + j, S::to_int(code));
      }
      out += n;
    }
    return true;
  }

  static typename S::F32x16 decode16(const uint8_t* row, int, int j) {
    const uint8_t* block = row + static_cast<size_t>(j / kBlock) * (kBlock + kScaleBytes);
    uint16_t scale;
    memcpy(&scale, block, sizeof scale);
    const int8_t* codes = reinterpret_cast<const int8_t*>(block + kScaleBytes) + j % kBlock;
    return S::mul(S::to_float(S::load_i8(codes)), S::set1(S::half(scale)));
  }
};

}  // namespace quant
