// Activations as int8.
#pragma once

#include <string.h>

#include "formats/weight/weight_format.h"

namespace quant {

template <class S>
struct QuantizeInt8 {
  using F = typename S::F32x16;
  using I = typename S::I32x16;

  /// x [g][cols]. Blocks of 32: scale = max|x| / 127, q = nearest(x / scale) in [-127, 127]. A
  /// block of zeros, or of numbers too small for a normal scale, becomes zeros. A block with a
  /// number that is not finite gets a scale that is not finite, so that products show it.
  static void quantize(const float* x, int g, int cols, const Int8Group& out) {
    for (int i = 0; i < g; ++i) {
      for (int b = 0; b < cols / kInt8Block; ++b) {
        quantize_block(x + static_cast<int64_t>(i) * cols + b * kInt8Block, g,
                       {out.q + b * kInt8Block * g + kColumns * i, out.scale + b * g + i,
                        out.sum + b * kInt8Sums * g + i, out.scaled_sum + b * kInt8Sums * g + i});
      }
    }
  }

 private:
  static constexpr int kColumns = S::kInt8Columns;
  static void quantize_block(const float* x, int g, const Int8Group& out) {
    const F low = S::load(x);
    const F high = S::load(x + 16);
    const float largest = S::reduce_max(S::max(S::abs(low), S::abs(high)));
    // 0 for finite numbers, NaN otherwise; the maximum alone would lose a NaN.
    const float poison = S::reduce_add(S::fma(low, S::zero(), S::mul(high, S::zero())));
    const float block_scale = largest / 127.0f;
    const bool tiny = block_scale < 1e-36f;
    const F inverse = S::set1(tiny ? 0.0f : 1.0f / block_scale);
    const float scale = (tiny ? 0.0f : block_scale) + poison;
    const I low_codes = codes(low, inverse);
    const I high_codes = codes(high, inverse);
    alignas(16) int8_t q[kInt8Block];
    S::store_i8(q, low_codes);
    S::store_i8(q + 16, high_codes);
    for (int at = 0; at < kInt8Block; at += kColumns) memcpy(out.q + at * g, q + at, kColumns);
    *out.scale = scale;
    const int32_t low_sum = S::reduce_add_i32(low_codes);
    const int32_t high_sum = S::reduce_add_i32(high_codes);
    const int32_t sums[kInt8Sums] = {low_sum, high_sum, low_sum + high_sum};
    for (int s = 0; s < kInt8Sums; ++s) {
      out.sum[s * g] = sums[s];
      out.scaled_sum[s * g] = scale * static_cast<float>(sums[s]);
    }
  }
  /// The limits matter only beside numbers that are not finite.
  static I codes(F v, F inverse) {
    const F limit = S::set1(127.0f);
    return S::to_int(S::min(S::max(S::mul(v, inverse), S::sub(S::zero(), limit)), limit));
  }
};

}  // namespace quant
