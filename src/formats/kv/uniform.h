// uniform_2b, _3b, _4b: blocks of 32 values, the last one of 16 where d is an odd multiple of 16;
// each is an fp16 step, an fp16 minimum and codes. A code stands for the centre of its bin.
#pragma once

#include "formats/kv/kv_format.h"
#include "formats/kv/row.h"
#include "quant/kv_spec.h"

namespace quant {

template <class S, int Bits>
struct KvUniform {
  using F = typename S::F32x16;
  static constexpr int kBlock = 32;
  static constexpr int kHeader = 4;
  static constexpr int kBlockBytes = kHeader + kBlock * Bits / 8;
  static constexpr int kLevels = 1 << Bits;
  static constexpr bool supports(int d) { return is_kv_head_dim(d); }
  static constexpr size_t row_bytes(int d) {
    return static_cast<size_t>((d + kBlock - 1) / kBlock * kHeader + d * Bits / 8);
  }

  static bool encode(const float* row, int d, uint8_t* out) {
    return KvRow<S>::template encode_blocks<KvUniform>(row, d, out);
  }
  static F values16(const uint8_t* row, int, int j) {
    const uint8_t* block = row + j / kBlock * kBlockBytes;
    const auto codes = S::template unpack<Bits>(block + kHeader + j % kBlock * Bits / 8);
    return value(codes, S::set1(KvRow<S>::get_half(block)), S::set1(KvRow<S>::get_half(block + 2)));
  }

  static constexpr int kBits = Bits;
  static constexpr int kInt8Most = kLevels - 1;
  static constexpr float kInt8Unit = 1.0f;
  static typename S::I32x16 int8(typename S::I32x16 codes) { return codes; }
  static typename S::DotWeights weights(typename S::I32x16 codes) {
    return S::template dot_weights<kInt8Most>(codes);
  }
  static F zero(F step, F minimum) { return S::fma(S::set1(0.5f), step, minimum); }
  static F value(typename S::I32x16 code, F step, F minimum) {
    return S::fma(S::add(S::to_float(code), S::set1(0.5f)), step, minimum);
  }

  /// One block of n values.
  static bool encode_block(const float* x, int n, uint8_t* out) {
    F top = S::load(x);
    F bottom = top;
    for (int i = 16; i < n; i += 16) {
      top = S::max(S::load(x + i), top);
      bottom = S::min(S::load(x + i), bottom);
    }
    const float maximum = S::reduce_max(top);
    const float minimum = 0.0f - S::reduce_max(S::sub(S::zero(), bottom));
    if (!KvRow<S>::put_half(out, (maximum - minimum) / static_cast<float>(kLevels))) return false;
    if (!KvRow<S>::put_half(out + 2, minimum)) return false;
    // Codes are chosen against what the decoder will read.
    const float step = KvRow<S>::get_half(out);
    const F start = S::set1(KvRow<S>::get_half(out + 2));
    const F inverse = S::set1(step > 0.0f ? 1.0f / step : 0.0f);
    for (int i = 0; i < n; i += 16) {
      F code = S::sub(S::mul(S::sub(S::load(x + i), start), inverse), S::set1(0.5f));
      code = S::max(S::min(code, S::set1(static_cast<float>(kLevels - 1))), S::zero());
      KvRow<S>::template pack16<Bits>(S::to_int(code), out + kHeader + i * Bits / 8);
    }
    return true;
  }
};

template <class S>
struct KvUniform2b : KvUniform<S, 2> {
  static constexpr KvType kType = KvType::kUniform2b;
  static constexpr const char* kName = "uniform_2b";
  static constexpr const char* kSummary = "blocks of 32: fp16 step and minimum, 2-bit codes";
};
template <class S>
struct KvUniform3b : KvUniform<S, 3> {
  static constexpr KvType kType = KvType::kUniform3b;
  static constexpr const char* kName = "uniform_3b";
  static constexpr const char* kSummary = "blocks of 32: fp16 step and minimum, 3-bit codes";
};
template <class S>
struct KvUniform4b : KvUniform<S, 4> {
  static constexpr KvType kType = KvType::kUniform4b;
  static constexpr const char* kName = "uniform_4b";
  static constexpr const char* kSummary = "blocks of 32: fp16 step and minimum, 4-bit codes";
};

}  // namespace quant
