// Weighted sums of packed rows: the values' half of attention.
#pragma once

#include "base/inline.h"
#include "formats/kv/row.h"
#include "formats/kv/value_panel.h"
#include "simd/fetch.h"

namespace quant {

template <class S, class Format>
struct KvAccumulate {
  using F = typename S::F32x16;
  using Panels = KvValuePanel<S, Format>;
  /// Rows that are unpacked into the L1 cache together: 16 KiB at four columns of sixteen.
  static constexpr int kPanelRows = 64;
  /// Up to so many queries, unpacking again for each block of them is cheaper than a panel.
  static constexpr int kDirectQueries = 2 * S::kBlockRows;

  /// acc[h][j] += Σ_i weights[h][i]·decode(row i)[j] for j in [0, d); see kv_format.h.
  static void run(const uint8_t* packed, int n, int d, float* weights, size_t weights_stride,
                  int n_queries, float* acc, const Fetch& fetch) {
    const bool direct = !KvInPanels<Format> && n_queries <= kDirectQueries;
    FetchSteps ahead(fetch, static_cast<size_t>(steps(n, d, direct ? n_queries : 1)));
    const Rows rows{packed, Format::row_bytes(d), n, d, weights, weights_stride, n_queries, ahead};
    if constexpr (!KvInPanels<Format>) {
      if (direct) {
        all_columns<Direct>(rows, weights, acc);
        return;
      }
    }
    for (int i = 0; i < n; i += kPanelRows) {
      Rows some = rows;
      some.packed = rows.at(i);
      some.n = n - i < kPanelRows ? n - i : kPanelRows;
      some.weights = weights + i;
      all_columns<Panel>(some, weights + i, acc);
    }
  }

 private:
  struct Rows {
    const uint8_t* packed;  // panels of rows, from a first row on
    size_t row_bytes;
    int n;
    int d;
    const float* weights;  // [n_queries][weights_stride]
    size_t weights_stride;
    int n_queries;
    FetchSteps& ahead;

    const uint8_t* at(int r) const { return packed + static_cast<size_t>(r) * row_bytes; }
  };

  /// How often rows ask memory for what is next: each time a row's block of columns is loaded, or
  /// a 16×16 block is unpacked. n_queries: for which rows are loaded again.
  static int steps(int n, int d, int n_queries) {
    constexpr int C = S::kBlockColumns;
    if constexpr (KvInPanels<Format>) return (n + 15) / 16 * (d / 16);
    const int column_blocks = d / (16 * C) + d / 16 % C;
    return n * column_blocks * ((n_queries + S::kBlockRows - 1) / S::kBlockRows);
  }

  /// Values of a row in columns [j, j + 16·C), straight from its codes.
  struct Direct {
    const Rows* rows;
    int j;

    template <int C>
    QUANT_INLINE void load(int r, F (&v)[C]) const {
      const uint8_t* row = rows->at(r);
      rows->ahead.step();
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) v[c] = Format::values16(row, rows->d, j + 16 * c);
    }
  };
  /// The same from a panel of floats [rows][C][16].
  struct Panel {
    const float* values;

    template <int C>
    QUANT_INLINE void load(int r, F (&v)[C]) const {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) v[c] = S::load(values + (r * C + c) * 16);
    }
  };

  static void multiply_by_gains(const Rows& rows, float* weights) {
    for (int i = 0; i < rows.n; i += 16) {
      Panels::multiply_by_gains(Panels::rows_at(rows.packed, rows.d, i),
                                rows.n - i < 16 ? rows.n - i : 16, rows.n_queries, weights + i,
                                rows.weights_stride);
    }
  }

  template <class Values>
  static void all_columns(const Rows& rows, float* weights, float* acc) {
    if constexpr (KvWithGain<Format>) multiply_by_gains(rows, weights);
    int j = 0;
    for (; j + 16 * S::kBlockColumns <= rows.d; j += 16 * S::kBlockColumns) {
      columns<S::kBlockColumns>(rows, Values{}, j, acc + j);
    }
    for (; j < rows.d; j += 16) columns<1>(rows, Values{}, j, acc + j);
  }

  /// Columns [j, j + 16·C) of acc.
  template <int C>
  static void columns(const Rows& rows, Direct values, int j, float* acc) {
    values.rows = &rows;
    values.j = j;
    blocks<C>(rows, values, acc);
  }
  template <int C>
  static void columns(const Rows& rows, Panel values, int j, float* acc) {
    alignas(64) float panel[kPanelRows * C * 16];
    unpack<C>(rows, j, panel);
    values.values = panel;
    blocks<C>(rows, values, acc);
  }

  /// panel[r][c] = values [j + 16·c, j + 16·c + 16) of row r.
  template <int C>
  static void unpack(const Rows& rows, int j, float* panel) {
    if constexpr (KvInPanels<Format>) {
      for (int r = 0; r < rows.n; r += 16) {
        const auto sixteen = Panels::rows_at(rows.packed, rows.d, r);
        for (int c = 0; c < C; ++c) {
          rows.ahead.step();
          F values[16];
          Panels::values16(sixteen, j + 16 * c, values);
          for (int i = 0; i < 16; ++i) S::store(panel + ((r + i) * C + c) * 16, values[i]);
        }
      }
    } else {
      const Direct direct{&rows, j};
      for (int r = 0; r < rows.n; ++r) {
        F values[C];
        direct.load(r, values);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) S::store(panel + (r * C + c) * 16, values[c]);
      }
    }
  }

  template <int C, class Values>
  static void blocks(const Rows& rows, const Values& values, float* acc) {
    for_query_blocks(rows.n_queries, S::kBlockRows, [&](int first, int count) {
      block<S::kBlockRows, C>(count, first, rows, values, acc);
    });
  }

  /// m <= R queries from `first` on: finds the kernel of exactly that many. The sums stay in
  /// registers while the rows pass by: one fma a row, rows ascending.
  template <int R, int C, class Values>
  static void block(int m, int first, const Rows& rows, const Values& values, float* acc) {
    if constexpr (R > 1) {
      if (m < R) return block<R - 1, C>(m, first, rows, values, acc);
    }
    float* out = acc + static_cast<size_t>(first) * static_cast<size_t>(rows.d);
    const float* weights = rows.weights + static_cast<size_t>(first) * rows.weights_stride;
    F sum[R][C];
#pragma GCC unroll 8
    for (int h = 0; h < R; ++h) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sum[h][c] = S::load(out + h * rows.d + 16 * c);
    }
    for (int r = 0; r < rows.n; ++r) {
      F v[C];
      values.load(r, v);
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
      for (int c = 0; c < C; ++c) S::store(out + h * rows.d + 16 * c, sum[h][c]);
    }
  }
};

}  // namespace quant
