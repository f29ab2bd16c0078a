// The vocabulary of scalar.h on AVX2 with AVX-VNNI: that of avx2.h but for integer products.
#pragma once

#include "base/inline.h"
#include "simd/avx2.h"

namespace quant {

struct AvxVnni : Avx2 {
  using DotWeights = I32x16;
  static constexpr size_t kFetchAhead = 4096;
  /// Three inputs leave registers for weights and a broadcast (Zen 5, Q4_1, 512 inputs: see
  /// docs/performance.md).
  static constexpr int kInt8Rows = 3;
  static constexpr int kInt8SumRows = 1;
  static constexpr bool kInt8SumWords = false;

  // vpdpbusd multiplies unsigned by signed bytes, so signed weights are moved by 128, as in
  // avx512.h.
  template <int Most>
  static constexpr int kDotRun = 64;
  template <int Most>
  static QUANT_INLINE DotWeights dot_weights(I32x16 v) {
    if constexpr (Most > 0) return v;
    const __m256i top = _mm256_set1_epi8(-128);
    return {_mm256_xor_si256(v.low, top), _mm256_xor_si256(v.high, top)};
  }
  template <int Most>
  static QUANT_INLINE DotWeights lookup_weights(U8x16 table, I32x16 index) {
    return lookup_bytes(Most > 0 ? table : _mm_xor_si128(table, _mm_set1_epi8(-128)), index);
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_start(int32_t x_sum) {
    const __m256i start = _mm256_set1_epi32(Most == 0 ? -128 * x_sum : 0);
    return {start, start};
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_open(I32x16 total) {
    return total;
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot4(I32x16 acc, DotWeights w, const int8_t* x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    const __m256i inputs = _mm256_set1_epi32(four);
    return {_mm256_dpbusd_avx_epi32(acc.low, w.low, inputs),
            _mm256_dpbusd_avx_epi32(acc.high, w.high, inputs)};
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_close(I32x16, I32x16 running) {
    return running;
  }
  static QUANT_INLINE I32x16 dot4_mixed(I32x16 acc, I32x16 w, const uint8_t* x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    const __m256i inputs = _mm256_set1_epi32(four);
    return {_mm256_dpbusd_avx_epi32(acc.low, inputs, w.low),
            _mm256_dpbusd_avx_epi32(acc.high, inputs, w.high)};
  }
  static QUANT_INLINE I32x16 dot4_few(I32x16 acc, I32x16 w, const uint8_t* x) {
    return dot4_mixed(acc, w, x);
  }
  static QUANT_INLINE I32x16 dot2(I32x16 acc, I32x16 w, const int16_t* x) {
    int32_t two;
    memcpy(&two, x, sizeof two);
    const __m256i inputs = _mm256_set1_epi32(two);
    return {_mm256_dpwssd_avx_epi32(acc.low, w.low, inputs),
            _mm256_dpwssd_avx_epi32(acc.high, w.high, inputs)};
  }
};

}  // namespace quant
