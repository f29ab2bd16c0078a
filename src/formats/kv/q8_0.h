// q8_0: blocks of 32 values, the last one of 16 where d is an odd multiple of 16; each is an fp16
// scale and int8 codes.
#pragma once

#include "formats/kv/kv_format.h"
#include "formats/kv/row.h"
#include "quant/kv_spec.h"

namespace quant {

template <class S>
struct KvQ8_0 {
  using F = typename S::F32x16;
  static constexpr KvType kType = KvType::kQ8_0;
  static constexpr const char* kName = "q8_0";
  static constexpr const char* kSummary = "blocks of 32: fp16 scale, int8 codes";
  static constexpr int kBlock = 32;
  static constexpr int kHeader = 2;
  static constexpr int kBlockBytes = kHeader + kBlock;
  static constexpr bool supports(int d) { return is_kv_head_dim(d); }
  static constexpr size_t row_bytes(int d) {
    return static_cast<size_t>(d + (d + kBlock - 1) / kBlock * 2);
  }

  static bool encode(const float* row, int d, uint8_t* out) {
    return KvRow<S>::template encode_blocks<KvQ8_0>(row, d, out);
  }
  static F values16(const uint8_t* row, int, int j) {
    const uint8_t* block = row + j / kBlock * kBlockBytes;
    const auto codes = S::load_i8(reinterpret_cast<const int8_t*>(block + kHeader) + j % kBlock);
    const F scale = S::set1(KvRow<S>::get_half(block));
    return value(codes, scale, S::zero());
  }

  static constexpr int kBits = 8;
  static constexpr int kInt8Most = 0;
  static constexpr float kInt8Unit = 1.0f;
  static typename S::I32x16 int8(typename S::I32x16 codes) { return codes; }
  static typename S::DotWeights weights(typename S::I32x16 codes) {
    return S::template dot_weights<kInt8Most>(codes);
  }
  static F value(typename S::I32x16 code, F scale, F) { return S::mul(S::to_float(code), scale); }

  /// One block of n values.
  static bool encode_block(const float* x, int n, uint8_t* out) {
    if (!KvRow<S>::put_half(out, KvRow<S>::max_magnitude(x, n) / 127.0f)) return false;
    const float scale = KvRow<S>::get_half(out);
    const F inverse = S::set1(scale > 0.0f ? 1.0f / scale : 0.0f);
    for (int i = 0; i < n; i += 16) {
      // A subnormal scale may have been rounded down by much, hence the clamp.
      F code = S::mul(S::load(x + i), inverse);
      code = S::max(S::min(code, S::set1(127.0f)), S::set1(-127.0f));
      S::store_i8(reinterpret_cast<int8_t*>(out + kHeader) + i, S::to_int(code));
    }
    return true;
  }
};

}  // namespace quant
