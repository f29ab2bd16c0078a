// Scores of rows of floats, few queries at a time.
#pragma once

#include "base/inline.h"
#include "formats/kv/row.h"
#include "simd/fetch.h"

namespace quant {

/// A tile that many queries share is worth storing; these few take each of its 16×16 blocks
/// straight from the transposition, and have the same sums.
template <class S, class Format>
struct KvScorePlain {
  using F = typename S::F32x16;
  /// Sums that registers hold beside a block.
  static constexpr int kMostQueries = S::kFloatRows < 8 ? S::kFloatRows : 8;

  /// For n_queries <= kMostQueries; see kv_format.h.
  static void score(const uint8_t* rows, int n, int d, const float* queries, int n_queries,
                    float* scores, size_t scores_stride, FetchSteps& ahead) {
    with_queries<kMostQueries>(Rows{rows, Format::row_bytes(d), n, d, ahead}, queries, n_queries,
                               scores, scores_stride);
  }

 private:
  struct Rows {
    const uint8_t* first;  // [n][row_bytes]
    size_t row_bytes;
    int n;
    int d;
    FetchSteps& ahead;  // a step for each 16×16 block
  };

  /// Finds the kernel of exactly n_queries.
  template <int R>
  static void with_queries(const Rows& rows, const float* queries, int n_queries, float* scores,
                           size_t scores_stride) {
    if constexpr (R > 1) {
      if (n_queries < R) {
        return with_queries<R - 1>(rows, queries, n_queries, scores, scores_stride);
      }
    }
    for (int i = 0; i < rows.n; i += 16) {
      const uint8_t* first = rows.first + static_cast<size_t>(i) * rows.row_bytes;
      const int lanes = rows.n - i < 16 ? rows.n - i : 16;
      F sum[R];
      sixteen<R>(rows, first, lanes, queries, sum);
#pragma GCC unroll 8
      for (int h = 0; h < R; ++h) {
        float* out = scores + static_cast<size_t>(h) * scores_stride + i;
        if (lanes == 16) {
          S::store(out, sum[h]);
        } else {
          S::store_partial(out, sum[h], lanes);
        }
      }
    }
  }

  /// sum[h] = scores of sixteen rows, a lane each: one fma a coordinate, ascending. Lanes beyond
  /// the rows repeat the last one.
  template <int R>
  static QUANT_INLINE void sixteen(const Rows& rows, const uint8_t* first, int lanes,
                                   const float* queries, F (&sum)[R]) {
#pragma GCC unroll 8
    for (int h = 0; h < R; ++h) sum[h] = S::zero();
    for (int j = 0; j < rows.d; j += 16) {
      rows.ahead.step();
      F block[16];
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r) {
        const size_t row = static_cast<size_t>(r < lanes ? r : lanes - 1);
        block[r] = Format::values16(first + row * rows.row_bytes, rows.d, j);
      }
      S::transpose(block);
#pragma GCC unroll 16
      for (int k = 0; k < 16; ++k) {
#pragma GCC unroll 8
        for (int h = 0; h < R; ++h) {
          sum[h] = S::fma(S::set1(queries[h * rows.d + j + k]), block[k], sum[h]);
        }
      }
    }
  }
};

}  // namespace quant
