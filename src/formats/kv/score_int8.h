// Scores in integers: int8 queries times the int8 codes of sixteen rows at a time, one lane a row.
#pragma once

#include "base/inline.h"
#include "formats/kv/kv_format.h"
#include "formats/kv/tile.h"
#include "simd/fetch.h"

namespace quant {

template <class S, class Format>
struct KvScoreInt8 {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  using W = typename S::DotWeights;
  using Panel = KvKeyPanel<S, Format>;
  static constexpr int kMost = Format::kInt8Most;
  /// Of the four words of sixteen codes, those that a running sum takes.
  static constexpr int kRun = S::template kDotRun<kMost> < 4 ? S::template kDotRun<kMost> : 4;
  static_assert(4 % kRun == 0);

  static void prepare(const float* query, int d, int row, const KvIntQueries& out) {
    alignas(64) float x[kKvMaxHeadDim];
    memcpy(x, query, static_cast<size_t>(d) * sizeof(float));
    if constexpr (requires { Format::rotate(x, d); }) Format::rotate(x, d);
    const int block = Panel::block(d);
    const size_t blocks = static_cast<size_t>(row) * static_cast<size_t>(d / 16);
    int8_t* codes =
        static_cast<int8_t*>(out.codes) + static_cast<size_t>(row) * static_cast<size_t>(d);
    for (int j = 0, b = 0; j < d; j += block, ++b) {
      const int n = d - j < block ? d - j : block;
      const size_t at = blocks + static_cast<size_t>(b);
      prepare_block(x + j, n, codes + j, out.scale + at, out.sum + at, out.total + at);
    }
  }

  static void score(const uint8_t* panels, int n, int d, const KvIntQueries& queries, int n_queries,
                    float* scores, size_t scores_stride, const Fetch& fetch) {
    const bool few = n_queries <= S::kInt8FewRows;
    // One for sixteen coordinates of 16·C rows and R queries.
    const int R = few ? S::kInt8FewRows : S::kInt8BlockRows;
    const int C = few ? few_columns(n_queries) : S::kInt8BlockColumns;
    const int steps = (n + 16 * C - 1) / (16 * C) * (d / 16) * ((n_queries + R - 1) / R);
    FetchSteps ahead(fetch, static_cast<size_t>(steps));
    const Product all{panels, n, d, queries, n_queries, scores, scores_stride, ahead};
    if (few) {
      score_few<S::kInt8FewRows>(all);
    } else {
      score_many(all);
    }
  }

 private:
  /// n rows times all queries.
  struct Product {
    const uint8_t* panels;
    int n;
    int d;
    const KvIntQueries& queries;
    int n_queries;
    float* scores;
    size_t scores_stride;
    FetchSteps& ahead;

    /// What is left from row i on; the panels are still those of all.
    QUANT_INLINE Product from(int i) const {
      return {panels, n - i, d, queries, n_queries, scores + i, scores_stride, ahead};
    }
  };

  /// Columns (of sixteen rows) at once for few queries. Between blocks there are sums of floats
  /// beside those of integers, and more of both than registers where all columns meet all queries.
  static constexpr int few_columns(int n_queries) {
    constexpr int most = S::kInt8FewColumns;
    return Format::kBlock > 0 && most > 2 && n_queries > 2 ? 2 : most;
  }

  /// Calls visit.operator()<N>(i) for rows [i, i + 16·N), as many as C at a time.
  template <int C, class Visit>
  static QUANT_INLINE void for_rows(int n, const Visit& visit) {
    int i = 0;
    for (; n - i > 16 * (C - 1); i += 16 * C) visit.template operator()<C>(i);
    if constexpr (C > 2) {
      for (; n - i > 16; i += 32) visit.template operator()<2>(i);
    }
    for (; i < n; i += 16) visit.template operator()<1>(i);
  }

  /// Up to R queries, with rows unpacked at each use: finds the kernel of exactly that many.
  template <int R>
  static void score_few(const Product& all) {
    if constexpr (R > 1) {
      if (all.n_queries < R) return score_few<R - 1>(all);
    }
    for_rows<few_columns(R)>(
        all.n, [&]<int N>(int i) __attribute__((always_inline)) {
          multiply<R, N>(0, all.from(i), Packed<N>(all, i));
        });
  }

  /// Many queries, which share what was unpacked.
  static void score_many(const Product& all) {
    constexpr int R = S::kInt8BlockRows;
    for_rows<S::kInt8BlockColumns>(
        all.n, [&]<int N>(int i) __attribute__((always_inline)) {
          const Packed<N> packed(all, i);
          const Product product = all.from(i);
          Tiles<N> tiles;
          for (int c = 0; c < N; ++c)
            KvTileSteps<S, Format>::fill(packed.rows[c], all.d, tiles.tile[c]);
          for_query_blocks(all.n_queries, R, [&](int first, int count) {
            multiply_some<R, N>(count, first, product, tiles);
          });
        });
  }

  static void prepare_block(const float* x, int n, int8_t* codes, float* scale, int32_t* sum,
                            float* total) {
    const float step = KvRow<S>::max_magnitude(x, n) / 127.0f;
    const F inverse = S::set1(step > 0.0f ? 1.0f / step : 0.0f);
    const auto order = S::load_u8(Panel::kOrder.coordinate);
    I code_sum = S::set1_i32(0);
    F value_sum = S::zero();
    for (int j = 0; j < n; j += 16) {
      const F v = S::load(x + j);
      // A subnormal step may have been rounded down by much, hence the clamp.
      const F code = S::max(S::min(S::mul(v, inverse), S::set1(127.0f)), S::set1(-127.0f));
      const I rounded = S::to_int(code);
      alignas(16) int8_t bytes[16];
      S::store_i8(bytes, rounded);
      S::store_u8(codes + j,
                  S::lookup_u8(S::load_u8(reinterpret_cast<const uint8_t*>(bytes)), order));
      code_sum = S::add_i32(code_sum, rounded);
      value_sum = S::add(value_sum, v);
    }
    *scale = step * Format::kInt8Unit;
    *sum = S::reduce_add_i32(code_sum);
    *total = S::reduce_add(value_sum);
  }

  /// Rows straight from their panels, unpacked at each use.
  template <int C>
  struct Packed {
    typename Panel::Rows rows[C];

    QUANT_INLINE Packed(const Product& all, int i) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) rows[c] = Panel::rows_at(all.panels, all.d, i + 16 * c);
    }
    static QUANT_INLINE void codes16(const Packed& from, int c, int j, I (&v)[4]) {
      Panel::codes16(from.rows[c], j, v);
    }
    static QUANT_INLINE W weights(I codes) { return Format::weights(codes); }
    static QUANT_INLINE F scale(const Packed& from, int c, int b) {
      return Panel::scale(from.rows[c], b);
    }
    static QUANT_INLINE F zero(const Packed& from, int c, int b) {
      return Format::zero(scale(from, c, b), Panel::minimum(from.rows[c], b));
    }
  };
  /// Rows unpacked once for many queries.
  template <int C>
  struct Tiles {
    KvTile tile[C];

    static QUANT_INLINE void codes16(const Tiles& from, int c, int j, I (&v)[4]) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        v[k] = S::load_i32(reinterpret_cast<const int32_t*>(from.tile[c].codes[j / 4 + k]));
      }
    }
    static QUANT_INLINE W weights(I codes) { return S::template dot_weights<kMost>(codes); }
    static QUANT_INLINE F scale(const Tiles& from, int c, int b) {
      return S::load(from.tile[c].scale[b]);
    }
    static QUANT_INLINE F zero(const Tiles& from, int c, int b) {
      return S::load(from.tile[c].zero[b]);
    }
  };

  /// m <= R queries from `first` on: finds the kernel of exactly that many.
  template <int R, int C>
  static void multiply_some(int m, int first, const Product& product, const Tiles<C>& tiles) {
    if constexpr (R > 1) {
      if (m < R) return multiply_some<R - 1, C>(m, first, product, tiles);
    }
    multiply<R, C>(first, product, tiles);
  }

  /// Scores of the first 16·C rows for queries [first, first + R).
  template <int R, int C, class Source>
  static QUANT_INLINE void multiply(int first, const Product& product, const Source& source) {
    const int d = product.d;
    const size_t blocks = static_cast<size_t>(d / 16);  // of memory; no more than these are used
    const size_t at = static_cast<size_t>(first) * blocks;
    F sum[R][C];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sum[r][c] = S::zero();
    }
    const int block = Panel::block(d);
    for (int j = 0, b = 0; j < d; j += block, ++b) {
      const int end = j + block < d ? j + block : d;
      I acc[R][C];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const size_t entry = at + static_cast<size_t>(r) * blocks + static_cast<size_t>(b);
        const I start = S::template dot_start<kMost>(product.queries.sum[entry]);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) acc[r][c] = start;
      }
      add_products<R, C>(product, first, j, end, source, acc);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const size_t entry = at + static_cast<size_t>(r) * blocks + static_cast<size_t>(b);
        const F scale = S::set1(product.queries.scale[entry]);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) {
          const F factor = S::mul(Source::scale(source, c, b), scale);
          sum[r][c] = S::fma(S::to_float(acc[r][c]), factor, sum[r][c]);
          if constexpr (Panel::kHasMinimum) {
            const F total = S::set1(product.queries.total[entry]);
            sum[r][c] = S::fma(Source::zero(source, c, b), total, sum[r][c]);
          }
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      float* out = product.scores + static_cast<size_t>(first + r) * product.scores_stride;
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        const int lanes = product.n - 16 * c;
        if (lanes >= 16) {
          S::store(out + 16 * c, sum[r][c]);
        } else {
          S::store_partial(out + 16 * c, sum[r][c], lanes);
        }
      }
    }
  }

  /// acc[r][c] += codes of coordinates [j, end) times those of query first + r.
  template <int R, int C, class Source>
  static QUANT_INLINE void add_products(const Product& product, int first, int j, int end,
                                        const Source& source, I (&acc)[R][C]) {
    const auto d = static_cast<size_t>(product.d);
    const int8_t* codes =
        static_cast<const int8_t*>(product.queries.codes) + static_cast<size_t>(first) * d;
    for (; j < end; j += 16) {
      product.ahead.step();
      I v[C][4];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) Source::codes16(source, c, j, v[c]);
#pragma GCC unroll 4
      for (int run = 0; run < 4; run += kRun) {
        I running[R][C];
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
          for (int c = 0; c < C; ++c) running[r][c] = S::template dot_open<kMost>(acc[r][c]);
        }
#pragma GCC unroll 4
        for (int k = run; k < run + kRun; ++k) {
          W column[C];
#pragma GCC unroll 4
          for (int c = 0; c < C; ++c) column[c] = Source::weights(v[c][k]);
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            const int8_t* x = codes + static_cast<size_t>(r) * d + j + 4 * k;
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) {
              running[r][c] = S::template dot4<kMost>(running[r][c], column[c], x);
            }
          }
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
          for (int c = 0; c < C; ++c) {
            acc[r][c] = S::template dot_close<kMost>(acc[r][c], running[r][c]);
          }
        }
      }
    }
  }
};

}  // namespace quant
