// The FP32 micro-kernel: rows of x times a panel of sixteen columns. Weights and attention scores
// go through it, but for a few queries and rows kept as floats (formats/kv/score_plain.h).
#pragma once

#include <stddef.h>

#include "base/inline.h"

namespace quant {

/// Rows of x one after the other, [rows][stride].
struct RowMajor {
  const float* x;
  size_t stride;

  QUANT_INLINE float at(int i, int k) const {
    return x[static_cast<size_t>(i) * stride + static_cast<size_t>(k)];
  }
  QUANT_INLINE RowMajor from(int i) const { return {x + static_cast<size_t>(i) * stride, stride}; }
};
/// Columns of x one after the other, [columns][stride]: one stream, however many rows.
struct Interleaved {
  const float* x;
  size_t stride;

  QUANT_INLINE float at(int i, int k) const {
    return x[static_cast<size_t>(k) * stride + static_cast<size_t>(i)];
  }
  QUANT_INLINE Interleaved from(int i) const { return {x + i, stride}; }
};

/// out[i][0..16) (+)= Σ_k x[i][k]·panel[k][0..16) for R rows of x; k ascends with one fma a step,
/// so an output has the same bits however many rows are computed beside it.
template <class S, int R, bool Accumulate, class Rows>
QUANT_INLINE void panel_rows(Rows x, int n_k, const float* panel, size_t panel_stride, float* out,
                             size_t out_stride) {
  typename S::F32x16 acc[R];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    acc[i] = Accumulate ? S::load(out + static_cast<size_t>(i) * out_stride) : S::zero();
  }
  for (int k = 0; k < n_k; ++k) {
    const typename S::F32x16 column = S::load(panel + static_cast<size_t>(k) * panel_stride);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) acc[i] = S::fma(S::set1(x.at(i, k)), column, acc[i]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) S::store(out + static_cast<size_t>(i) * out_stride, acc[i]);
}

/// The same for any number m of rows: as many at once as the registers hold, then halves of that.
template <class S, bool Accumulate, class Rows, int R = S::kFloatRows>
void panel_product(Rows x, int m, int n_k, const float* panel, size_t panel_stride, float* out,
                   size_t out_stride) {
  int i = 0;
  for (; i + R <= m; i += R) {
    panel_rows<S, R, Accumulate>(x.from(i), n_k, panel, panel_stride,
                                 out + static_cast<size_t>(i) * out_stride, out_stride);
  }
  if constexpr (R > 1) {
    if (i < m) {
      panel_product<S, Accumulate, Rows, R / 2>(x.from(i), m - i, n_k, panel, panel_stride,
                                                out + static_cast<size_t>(i) * out_stride,
                                                out_stride);
    }
  }
}

}  // namespace quant
