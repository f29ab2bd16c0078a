// Activations as int8.
#pragma once

#include "formats/weight/weight_format.h"

namespace quant {

/// Blocks of 32: scale = max|x| / 127, q = nearest(x / scale) in [-127, 127], sums of 16. A block
/// of zeros, or of numbers too small for a normal scale, becomes zeros. A block with a number that
/// is not finite gets a scale that is not finite, so that products show it.
template <class S>
void quantize_int8(const float* x, int n, int8_t* q, float* scale, int32_t* sum) {
  const auto limit = S::set1(127.0f);
  for (int at = 0; at < n; at += kInt8Block) {
    const auto low = S::load(x + at);
    const auto high = S::load(x + at + 16);
    const float largest = S::reduce_max(S::max(S::abs(low), S::abs(high)));
    // 0 for finite numbers, NaN otherwise; the maximum alone would lose a NaN.
    const float poison = S::reduce_add(S::fma(low, S::zero(), S::mul(high, S::zero())));
    const float block_scale = largest / 127.0f;
    const bool tiny = block_scale < 1e-36f;
    const auto inverse = S::set1(tiny ? 0.0f : 1.0f / block_scale);
    scale[at / kInt8Block] = (tiny ? 0.0f : block_scale) + poison;
    // The limits matter only beside numbers that are not finite.
    const auto codes = [&](typename S::F32x16 v) {
      return S::to_int(S::min(S::max(S::mul(v, inverse), S::sub(S::zero(), limit)), limit));
    };
    const auto low_codes = codes(low);
    const auto high_codes = codes(high);
    S::store_i8(q + at, low_codes);
    S::store_i8(q + at + 16, high_codes);
    sum[at / kInt8SumBlock] = S::reduce_add_i32(low_codes);
    sum[at / kInt8SumBlock + 1] = S::reduce_add_i32(high_codes);
  }
}

}  // namespace quant
