// turbo_kv_2b, turbo_kv_3b, turbo_kv_4b: {fp16 gain, codes} of the randomly rotated row, whose
// coordinates are close to Gaussian and so fit one Lloyd-Max codebook. Sources: HIGGS (arXiv
// 2411.17525), TurboQuant (arXiv 2504.19874).
#pragma once

#include "formats/codebook.h"
#include "formats/kv/pack_bits.h"
#include "formats/kv/plain.h"
#include "formats/rotation.h"

namespace quant {

template <class S, int Bits>
struct TurboKv {
  using Codebook = GaussianCodebook<S, Bits>;
  static constexpr size_t kGainBytes = 2;
  /// Rows below this RMS are stored as zero: fp16 has no gain for them.
  static constexpr float kSmallestRms = 1e-12f;

  static constexpr size_t row_bytes(int d) {
    return hadamard_order(d) == 0 ? 0 : kGainBytes + static_cast<size_t>(d) * Bits / 8;
  }
  static void rotate(float* x, int d) { Rotation<S>::apply(x, d); }
  static void unrotate(float* x, int d) { Rotation<S>::invert(x, d); }

  static bool encode(const float* row, int d, uint8_t* out) {
    auto squares = S::zero();
    for (int j = 0; j < d; j += 16) squares = S::fma(S::load(row + j), S::load(row + j), squares);
    const float rms = __builtin_sqrtf(S::reduce_add(squares) / static_cast<float>(d));
    if (!(rms < __builtin_inff())) return false;
    if (rms < kSmallestRms) {
      memset(out, 0, row_bytes(d));
      return true;
    }
    float unit[kMaxHeadDim];
    for (int j = 0; j < d; j += 16) {
      S::store(unit + j, S::div(S::load(row + j), S::set1(rms)));
    }
    rotate(unit, d);
    auto fit = S::zero();   // <u, y>
    auto size = S::zero();  // <y, y>
    for (int j = 0; j < d; j += 16) {
      const auto u = S::load(unit + j);
      const auto code = nearest(u);
      const auto y = S::lookup(Codebook::kCentroids, code);
      fit = S::fma(u, y, fit);
      size = S::fma(y, y, size);
      pack_bits<S, Bits>(code, out + kGainBytes + j / 8 * Bits);
    }
    // The least-squares gain for the codes that were chosen.
    const float gain = rms * (S::reduce_add(fit) / S::reduce_add(size));
    const uint16_t stored = S::to_half(gain);
    memcpy(out, &stored, kGainBytes);
    return gain < OwnBasis<S>::kHalfOverflow;
  }

  static typename S::F32x16 decode16(const uint8_t* row, int, int j) {
    uint16_t gain;
    memcpy(&gain, row, kGainBytes);
    const auto code = S::template unpack<Bits>(row + kGainBytes + j / 8 * Bits);
    return S::mul(S::lookup(Codebook::kCentroids, code), S::set1(S::half(gain)));
  }

 private:
  /// How many of the midpoints between neighbours lie below u.
  static typename S::I32x16 nearest(typename S::F32x16 u) {
    auto code = S::set1_i32(0);
    for (int i = 1; i < 1 << Bits; ++i) {
      const float midpoint = 0.5f * (Codebook::kCentroids[i - 1] + Codebook::kCentroids[i]);
      code = S::count_greater(code, u, S::set1(midpoint));
    }
    return code;
  }
};

template <class S>
struct KvTurbo2b : TurboKv<S, 2> {
  static constexpr KvType kType = KvType::kTurboKv2b;
  static constexpr const char* kName = "turbo_kv_2b";
  static constexpr const char* kSummary = "rotated row, 2-bit Lloyd-Max codes, fp16 gain a row";
};

template <class S>
struct KvTurbo3b : TurboKv<S, 3> {
  static constexpr KvType kType = KvType::kTurboKv3b;
  static constexpr const char* kName = "turbo_kv_3b";
  static constexpr const char* kSummary = "rotated row, 3-bit Lloyd-Max codes, fp16 gain a row";
};

template <class S>
struct KvTurbo4b : TurboKv<S, 4> {
  static constexpr KvType kType = KvType::kTurboKv4b;
  static constexpr const char* kName = "turbo_kv_4b";
  static constexpr const char* kSummary = "rotated row, 4-bit Lloyd-Max codes, fp16 gain a row";
};

}  // namespace quant
