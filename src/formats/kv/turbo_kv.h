// turbo_kv_2b, _3b, _4b: an fp16 gain and Lloyd-Max codes of the rotated, unit-RMS row. After a
// random rotation the coordinates of any row are close to Gaussian, so one codebook serves all
// (HIGGS, arXiv 2411.17525; TurboQuant, arXiv 2504.19874).
#pragma once

#include "formats/codebook.h"
#include "formats/kv/kv_format.h"
#include "formats/kv/row.h"
#include "formats/rotation.h"
#include "quant/kv_spec.h"

namespace quant {

template <class S, int Bits>
struct KvTurbo {
  using F = typename S::F32x16;
  static constexpr int kBlock = 0;
  static constexpr int kHeader = 2;
  /// Rows with a smaller RMS would get a gain of 0 in fp16.
  static constexpr float kSmallestRms = 0x1p-27f;
  static constexpr bool supports(int d) { return Rotation<S>::supports(d); }
  static constexpr size_t row_bytes(int d) { return static_cast<size_t>(kHeader + d * Bits / 8); }
  static void rotate(float* x, int d) { Rotation<S>::rotate(x, d); }
  static void unrotate(float* x, int d) { Rotation<S>::unrotate(x, d); }

  static bool encode(const float* row, int d, uint8_t* out) {
    const float rms = root_mean_square(row, d);
    if (rms < kSmallestRms) {
      memset(out, 0, row_bytes(d));
      return true;
    }
    alignas(64) float x[kKvMaxHeadDim];
    for (int j = 0; j < d; j += 16) S::store(x + j, S::div(S::load(row + j), S::set1(rms)));
    rotate(x, d);
    F dot = S::zero();     // ⟨u, y⟩ of the rotated row u and its centroids y
    F square = S::zero();  // ⟨y, y⟩
    for (int j = 0; j < d; j += 16) {
      const F u = S::load(x + j);
      const auto codes = nearest(u);
      const F y = S::lookup(S::load(kLloydMax<Bits>.centroid), codes);
      dot = S::fma(u, y, dot);
      square = S::fma(y, y, square);
      KvRow<S>::template pack16<Bits>(codes, out + kHeader + j * Bits / 8);
    }
    // Values that were not finite have reached the gain by now.
    return KvRow<S>::put_half(out, rms * (S::reduce_add(dot) / S::reduce_add(square)));
  }
  static const uint8_t* gain(const uint8_t* row) { return row; }
  static F values16(const uint8_t* row, int, int j) {
    return value(S::template unpack<Bits>(row + kHeader + j * Bits / 8), S::zero(), S::zero());
  }

  static constexpr int kBits = Bits;
  static constexpr int kInt8Most = 0;
  static constexpr float kInt8Unit = kLloydMaxInt8<Bits>.unit;
  static typename S::I32x16 int8(typename S::I32x16 codes) {
    return S::lookup_bytes(S::load_u8(kLloydMaxInt8<Bits>.centroid), codes);
  }
  static typename S::DotWeights weights(typename S::I32x16 codes) {
    return S::template lookup_weights<kInt8Most>(S::load_u8(kLloydMaxInt8<Bits>.centroid), codes);
  }
  static F value(typename S::I32x16 code, F, F) {
    return S::lookup(S::load(kLloydMax<Bits>.centroid), code);
  }

 private:
  static float root_mean_square(const float* row, int d) {
    F squares = S::zero();
    for (int j = 0; j < d; j += 16) {
      const F v = S::load(row + j);
      squares = S::fma(v, v, squares);
    }
    return __builtin_sqrtf(S::reduce_add(squares) / static_cast<float>(d));
  }
  static typename S::I32x16 nearest(F u) {
    auto codes = S::set1_i32(0);
    for (int i = 0; i < (1 << Bits) - 1; ++i) {
      codes = S::count_greater(codes, u, S::set1(kLloydMax<Bits>.boundary[i]));
    }
    return codes;
  }
};

template <class S>
struct KvTurbo2b : KvTurbo<S, 2> {
  static constexpr KvType kType = KvType::kTurboKv2b;
  static constexpr const char* kName = "turbo_kv_2b";
  static constexpr const char* kSummary = "fp16 gain, 2-bit codes of the rotated row";
};
template <class S>
struct KvTurbo3b : KvTurbo<S, 3> {
  static constexpr KvType kType = KvType::kTurboKv3b;
  static constexpr const char* kName = "turbo_kv_3b";
  static constexpr const char* kSummary = "fp16 gain, 3-bit codes of the rotated row";
};
template <class S>
struct KvTurbo4b : KvTurbo<S, 4> {
  static constexpr KvType kType = KvType::kTurboKv4b;
  static constexpr const char* kName = "turbo_kv_4b";
  static constexpr const char* kSummary = "fp16 gain, 4-bit codes of the rotated row";
};

}  // namespace quant
