// Weighted sums of fp16 rows in integers: a row's words times a weight's, two rows a product.
#pragma once

#include "base/inline.h"
#include "formats/kv/half_rows.h"
#include "simd/fetch.h"

namespace quant {

template <class S, class Format>
struct KvAccumulateInt16 {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  using Rows = KvHalfRows<S, 13>;
  /// 16 KiB of 64 values: they are read twice, and a chunk of 256 would push itself out of the L1
  /// cache.
  static constexpr int kRows = kKvChunkRows / 2;
  /// Queries whose weights are rounded together: 24 KiB of words.
  static constexpr int kQueries = 96;
  /// Up to so many queries, making integers again for each block of them is cheaper than a panel.
  static constexpr int kDirectQueries = S::kBlockRows;

  static void run(const uint8_t* panels, int first, int n, int d, const float* weights,
                  size_t weights_stride, int n_queries, float* acc, const Fetch& fetch) {
    // One for two rows of a block of columns, as often as they are loaded.
    const int columns = n_queries <= kDirectQueries ? S::kBlockColumns : S::kWordSumColumns;
    const int blocks = d / (16 * columns) + d / 16 % columns;
    FetchSteps ahead(fetch, static_cast<size_t>((n + 31) / 32 * 16 * blocks));
    for_row_parts<kRows>(first, n, [&](int i, int count) {
      const uint8_t* rows = panels + static_cast<size_t>(i) * Format::row_bytes(d);
      Units units;
      const Chunk chunk{rows, count, d, units, ahead};
      measure(chunk, units);
      for (int h = 0; h < n_queries; h += kQueries) {
        const int some = n_queries - h < kQueries ? n_queries - h : kQueries;
        const float* own = weights + static_cast<size_t>(h) * weights_stride + i;
        add_chunk(chunk, own, weights_stride, some, acc + h * d);
      }
    });
  }

 private:
  /// Of each row; see KvHalfRows.
  struct Units {
    alignas(64) float unit[kRows];
    alignas(64) float round[kRows];
  };
  struct Chunk {
    const uint8_t* rows;
    int n;
    int d;
    const Units& units;
    FetchSteps& ahead;

    const uint8_t* row(int i) const { return rows + static_cast<size_t>(i) * Format::row_bytes(d); }
  };
  /// Weights times the rows' units in integers; those of rows i and i + 16 of each 32 lie beside
  /// each other. 0 beyond the last row.
  struct Codes {
    alignas(64) int16_t word[kQueries][kRows];
    float step[kQueries];
  };

  static void measure(const Chunk& chunk, Units& units) {
    for (int i = 0; i < (chunk.n + 31) / 32 * 32; i += 16) {
      const auto sixteen = Rows::measure(chunk.row(i), chunk.d);
      S::store(units.unit + i, sixteen.unit);
      S::store(units.round + i, sixteen.round);
    }
  }

  static void add_chunk(const Chunk& chunk, const float* weights, size_t weights_stride,
                        int n_queries, float* acc) {
    Codes codes;
    constexpr int R = S::kSoftmaxRows;
    int h = 0;
    for (; h + R <= n_queries; h += R, weights += R * weights_stride) {
      round_weights<R>(chunk, weights, weights_stride, h, codes);
    }
    for (; h < n_queries; ++h, weights += weights_stride) {
      round_weights<1>(chunk, weights, weights_stride, h, codes);
    }
    const Sums sums{chunk, codes, n_queries, acc};
    if (n_queries <= kDirectQueries) {
      all_columns<Direct, S::kBlockRows, S::kBlockColumns>(sums);
    } else {
      all_columns<Panel, S::kWordSumRows, S::kWordSumColumns>(sums);
    }
  }

  /// Weights of queries [h, h + R), side by side: each alone waits for its reductions.
  template <int R>
  static void round_weights(const Chunk& chunk, const float* weights, size_t weights_stride, int h,
                            Codes& codes) {
    alignas(64) float product[R][kRows];
    F top[R];
    F sum[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) top[r] = sum[r] = S::zero();
    const int end = (chunk.n + 31) / 32 * 32;
    alignas(64) float last[R][16];
    for (int i = 0; i < end; i += 16) {
      const F unit = S::load(chunk.units.unit + i);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const float* w = weights + static_cast<size_t>(r) * weights_stride + i;
        if (chunk.n - i < 16) {  // what lies beyond may not even be a number
          memset(last[r], 0, sizeof last[r]);
          if (i < chunk.n) memcpy(last[r], w, static_cast<size_t>(chunk.n - i) * sizeof(float));
          w = last[r];
        }
        const F scaled = S::mul(S::load(w), unit);
        top[r] = S::max(scaled, top[r]);
        sum[r] = S::add(sum[r], scaled);
        S::store(product[r] + i, scaled);
      }
    }
    float inverse[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const float step = Rows::step(S::reduce_max(top[r]), S::reduce_add(sum[r]));
      inverse[r] = Rows::inverse_of(step);
      codes.step[h + r] = step;
    }
    for (int i = 0; i < end; i += 32) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const I a = Rows::word(S::load(product[r] + i), inverse[r]);
        const I b = Rows::word(S::load(product[r] + i + 16), inverse[r]);
        S::store_i32(reinterpret_cast<int32_t*>(codes.word[h + r] + i), S::pair_words(a, b));
      }
    }
  }

  struct Sums {
    const Chunk& chunk;
    const Codes& codes;
    int n_queries;
    float* acc;  // [n_queries][d]
  };

  /// Pairs of rows are those i and i + 16 of each 32, ascending.
  static constexpr int pairs_of(int n) { return (n + 31) / 32 * 16; }

  /// Integers of pair p in columns [j, j + 16·C), straight from the rows.
  struct Direct {
    const Chunk& chunk;
    int j;

    template <int R, int C>
    static void columns(const Sums& sums, int j) {
      block<R, C>(sums.n_queries, 0, sums, Direct{sums.chunk, j}, j);
    }
    template <int C>
    QUANT_INLINE void load(int p, I (&v)[C]) const {
      const int i = p + (p & ~15);
      chunk.ahead.step();
      const uint8_t* a = chunk.row(i);
      const uint8_t* b = chunk.row(i + 16);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        v[c] = Rows::pair(Format::values16(a, chunk.d, j + 16 * c), chunk.units.round[i],
                          Format::values16(b, chunk.d, j + 16 * c), chunk.units.round[i + 16]);
      }
    }
  };
  /// The same made once for many queries: 16 KiB at four columns of sixteen.
  struct Panel {
    alignas(64) int32_t pairs[kRows / 2 * S::kWordSumColumns][16];

    template <int R, int C>
    static void columns(const Sums& sums, int j) {
      Panel panel;
      panel.fill<C>(Direct{sums.chunk, j});
      for_query_blocks(sums.n_queries, R,
                       [&](int first, int count) { block<R, C>(count, first, sums, panel, j); });
    }
    template <int C>
    void fill(const Direct& source) {
      for (int p = 0; p < pairs_of(source.chunk.n); ++p) {
        I v[C];
        source.template load<C>(p, v);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) S::store_i32(pairs[p * C + c], v[c]);
      }
    }
    template <int C>
    QUANT_INLINE void load(int p, I (&v)[C]) const {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) v[c] = S::load_i32(pairs[p * C + c]);
    }
  };

  template <class Values, int R, int C>
  static void all_columns(const Sums& sums) {
    int j = 0;
    for (; j + 16 * C <= sums.chunk.d; j += 16 * C) Values::template columns<R, C>(sums, j);
    for (; j < sums.chunk.d; j += 16) Values::template columns<R, 1>(sums, j);
  }

  /// m <= R queries from `first` on: finds the kernel of exactly that many.
  template <int R, int C, class Values>
  static void block(int m, int first, const Sums& sums, const Values& values, int j) {
    if constexpr (R > 1) {
      if (m < R) return block<R - 1, C>(m, first, sums, values, j);
    }
    I sum[R][C];
#pragma GCC unroll 16
    for (int h = 0; h < R; ++h) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sum[h][c] = S::set1_i32(0);
    }
    const int16_t* words = sums.codes.word[first];
    for (int p = 0; p < pairs_of(sums.chunk.n); ++p) {
      I v[C];
      values.template load<C>(p, v);
#pragma GCC unroll 16
      for (int h = 0; h < R; ++h) {
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) sum[h][c] = S::dot2(sum[h][c], v[c], words + h * kRows + 2 * p);
      }
    }
#pragma GCC unroll 16
    for (int h = 0; h < R; ++h) {
      const F step = S::set1(sums.codes.step[first + h]);
      float* out = sums.acc + (first + h) * sums.chunk.d + j;
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        S::store(out + 16 * c, S::fma(S::to_float(sum[h][c]), step, S::load(out + 16 * c)));
      }
    }
  }
};

}  // namespace quant
