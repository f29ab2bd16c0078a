// Weighted sums of packed rows: the values' half of attention.
#pragma once

#include "formats/kv/row.h"

namespace quant {

template <class S, class Format>
struct KvAccumulate {
  using F = typename S::F32x16;
  /// Rows that are unpacked into the L1 cache together: 16 KiB at four columns of sixteen.
  static constexpr int kRows = 64;
  static constexpr bool kHasGain = requires(const uint8_t* row) { Format::gain(row); };

  /// acc[h][j] += Σ_i weights[h][i]·decode(row i)[j] for j in [0, d); see kv_format.h.
  static void run(const uint8_t* rows, int n, int d, float* weights, size_t weights_stride,
                  int n_queries, float* acc) {
    const size_t row_bytes = Format::row_bytes(d);
    for (int i = 0; i < n; i += kRows) {
      const uint8_t* first = rows + static_cast<size_t>(i) * row_bytes;
      const int count = n - i < kRows ? n - i : kRows;
      if constexpr (kHasGain) {
        multiply_by_gains(first, row_bytes, count, weights + i, weights_stride, n_queries);
      }
      const Rows group{first, row_bytes, count, d, weights + i, weights_stride, n_queries};
      int j = 0;
      for (; j + 16 * S::kBlockColumns <= d; j += 16 * S::kBlockColumns) {
        columns<S::kBlockColumns>(group, j, acc + j);
      }
      for (; j < d; j += 16) columns<1>(group, j, acc + j);
    }
  }

 private:
  struct Rows {
    const uint8_t* first;
    size_t row_bytes;
    int count;
    int d;
    const float* weights;  // [n_queries][weights_stride]
    size_t weights_stride;
    int n_queries;
  };

  static void multiply_by_gains(const uint8_t* rows, size_t row_bytes, int count, float* weights,
                                size_t weights_stride, int n_queries) {
    float gains[kRows];
    for (int r = 0; r < count; ++r)
      gains[r] = Format::gain(rows + static_cast<size_t>(r) * row_bytes);
    for (int h = 0; h < n_queries; ++h) {
      float* w = weights + static_cast<size_t>(h) * weights_stride;
      int r = 0;
      for (; r + 16 <= count; r += 16) S::store(w + r, S::mul(S::load(w + r), S::load(gains + r)));
      for (; r < count; ++r) w[r] *= gains[r];
    }
  }

  /// Columns [j, j + 16·C) of acc. Few queries take the values straight from the packed rows; for
  /// more they are unpacked once.
  template <int C>
  static void columns(const Rows& rows, int j, float* acc) {
    if (rows.n_queries <= S::kBlockRows) {
      queries<S::kBlockRows, C>(
          rows.n_queries, rows.weights, rows,
          acc, [&](int r, int c) __attribute__((always_inline)) {
            return Format::values16(rows.first + static_cast<size_t>(r) * rows.row_bytes, rows.d,
                                    j + 16 * c);
          });
      return;
    }
    alignas(64) float panel[kRows * C * 16];
    for (int r = 0; r < rows.count; ++r) {
      const uint8_t* row = rows.first + static_cast<size_t>(r) * rows.row_bytes;
      for (int c = 0; c < C; ++c) {
        S::store(panel + (r * C + c) * 16, Format::values16(row, rows.d, j + 16 * c));
      }
    }
    const auto unpacked = [&](int r, int c) __attribute__((always_inline)) {
      return S::load(panel + (r * C + c) * 16);
    };
    const int blocks = (rows.n_queries + S::kBlockRows - 1) / S::kBlockRows;
    for (int block = 0; block < blocks; ++block) {
      const int begin = rows.n_queries * block / blocks;
      const int end = rows.n_queries * (block + 1) / blocks;
      queries<S::kBlockRows, C>(end - begin,
                                rows.weights + static_cast<size_t>(begin) * rows.weights_stride,
                                rows, acc + static_cast<size_t>(begin * rows.d), unpacked);
    }
  }

  /// m <= R queries: finds the kernel of exactly that many.
  template <int R, int C, class Value>
  static void queries(int m, const float* weights, const Rows& rows, float* acc,
                      const Value& value) {
    if constexpr (R > 1) {
      if (m < R) return queries<R - 1, C>(m, weights, rows, acc, value);
    }
    block<R, C>(weights, rows, acc, value);
  }

  /// The sums stay in registers while the rows pass by: one fma a row, rows ascending.
  template <int R, int C, class Value>
  static void block(const float* weights, const Rows& rows, float* acc, const Value& value) {
    F sum[R][C];
#pragma GCC unroll 8
    for (int h = 0; h < R; ++h) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sum[h][c] = S::load(acc + h * rows.d + 16 * c);
    }
    for (int r = 0; r < rows.count; ++r) {
      F v[C];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) v[c] = value(r, c);
#pragma GCC unroll 8
      for (int h = 0; h < R; ++h) {
        const F w =
            S::set1(weights[static_cast<size_t>(h) * rows.weights_stride + static_cast<size_t>(r)]);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) sum[h][c] = S::fma(w, v[c], sum[h][c]);
      }
    }
#pragma GCC unroll 8
    for (int h = 0; h < R; ++h) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) S::store(acc + h * rows.d + 16 * c, sum[h][c]);
    }
  }
};

}  // namespace quant
