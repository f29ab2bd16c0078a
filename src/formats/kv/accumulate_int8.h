// Weighted sums of packed rows in integers: four rows a step.
#pragma once

#include <string.h>

#include "base/inline.h"
#include "formats/kv/row_sums.h"
#include "formats/kv/value_panel.h"
#include "simd/fetch.h"
#include "simd/tiles.h"

namespace quant {

template <class S, class Format>
struct KvAccumulateInt8 {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  using Panel = KvValuePanel<S, Format>;
  using RowSums = KvRowSums<S, Format>;
  using Values = typename RowSums::Values;
  static constexpr int kRows = RowSums::kRows;
  /// Queries whose weights are rounded together: up to 24 KiB of codes.
  static constexpr int kQueries = 48;
  /// So few share two blocks' rounding, whose chains of reductions run side by side, and read
  /// headers straight from the panels.
  static constexpr int kFew = 8;
  static constexpr auto kTop = static_cast<float>(RowSums::kTop);
  /// Few codes are counted from the middle: the smaller a number, the less it makes of the error of
  /// a rounded weight. What the middle stands for is summed without rounding.
  static constexpr float kMiddle = kKvFewCodes<Format> ? 0.5f * Format::kInt8Most : 0.0f;
  static_assert(kMiddle == 0.0f || (Panel::kHasMinimum && Format::kInt8Unit == 1.0f));

  static void run(const uint8_t* panels, int first, int n, int d, const float* weights,
                  size_t weights_stride, int n_queries, float* acc, const Fetch& fetch) {
    // One for sixteen rows of 32 columns; rounding the weights takes a few of them.
    const int steps = (n + 15) / 16 * ((d + 31) / 32) + (n + 31) / 32;
    FetchSteps ahead(fetch, static_cast<size_t>(steps));
    for_row_parts<kRows>(first, n, [&](int i, int count) {
      const uint8_t* rows = panels + static_cast<size_t>(i) * Format::row_bytes(d);
      for (int h = 0; h < n_queries; h += kQueries) {
        const Sums sums{.panels = rows,
                        .n = count,
                        .d = d,
                        .weights = weights + static_cast<size_t>(h) * weights_stride + i,
                        .weights_stride = weights_stride,
                        .n_queries = n_queries - h < kQueries ? n_queries - h : kQueries,
                        .acc = acc + h * d,
                        .ahead = ahead};
        const int blocks = (d + Panel::block(d) - 1) / Panel::block(d);
        int b = 0;
        if (sums.n_queries <= kFew && count % 16 == 0) {
          for (; b + 2 <= blocks; b += 2) add_blocks<2, Headers>(sums, b);
          for (; b < blocks; ++b) add_blocks<1, Headers>(sums, b);
        }
        for (; b < blocks; ++b) add_blocks<1, StoredHeaders>(sums, b);
      }
    });
  }

 private:
  struct Sums {
    const uint8_t* panels;
    int n;
    int d;
    const float* weights;  // [n_queries][weights_stride]
    size_t weights_stride;
    int n_queries;
    float* acc;  // [n_queries][d]
    FetchSteps& ahead;
  };
  /// Weights times a block's scales as codes, and how they add up.
  struct Codes {
    typename RowSums::Weights weights[kQueries];
    float step[kQueries];
    float rest[kQueries];  // what sums of codes lack
  };
  /// What the headers of a block say of sixteen rows from row i on: `scale`, and `middle`, what a
  /// code of kMiddle stands for. Straight from the panels, each time.
  struct Headers {
    const uint8_t* panels;
    int d;
    int block;

    void read(const Sums& sums, int b) {
      panels = sums.panels;
      d = sums.d;
      block = b;
    }
    QUANT_INLINE F scale(int i) const { return Panel::scale(Panel::rows_at(panels, d, i), block); }
    QUANT_INLINE F middle(int i) const {
      const F of_zero = Format::zero(scale(i), Panel::minimum(Panel::rows_at(panels, d, i), block));
      if constexpr (kMiddle == 0) return of_zero;
      return S::fma(S::set1(kMiddle), scale(i), of_zero);
    }
  };
  /// The same, unpacked once for many queries and 0 beyond the last row.
  struct StoredHeaders {
    alignas(64) float scales[kRows];
    alignas(64) float middles[kRows];

    void read(const Sums& sums, int b) {
      Headers from;
      from.read(sums, b);
      for (int i = 0; i < sums.n; i += 16) {
        S::store(scales + i, from.scale(i));
        if constexpr (Panel::kHasMinimum) S::store(middles + i, from.middle(i));
      }
      for (int i = sums.n; i % 16 != 0; ++i) scales[i] = middles[i] = 0.0f;
    }
    QUANT_INLINE F scale(int i) const { return S::load(scales + i); }
    QUANT_INLINE F middle(int i) const { return S::load(middles + i); }
  };

  /// Blocks [b, b + B) with headers from Source.
  template <int B, class Source>
  static void add_blocks(const Sums& sums, int b) {
    Codes codes[B];
    round_weights<B, Source>(sums, b, codes);
    const int block = Panel::block(sums.d);
    constexpr int C = S::kInt8SumColumns;
    for (int k = 0; k < B; ++k) {
      int j = (b + k) * block;
      const int end = j + block < sums.d ? j + block : sums.d;
      for (; j + 16 * C <= end; j += 16 * C) add_columns<C>(sums, codes[k], j);
      for (; j < end; j += 16) add_columns<1>(sums, codes[k], j);
    }
  }

  template <int B, class Source>
  static void round_weights(const Sums& sums, int b, Codes (&codes)[B]) {
    Source headers[B];
    for (int k = 0; k < B; ++k) headers[k].read(sums, b + k);
    constexpr int R = S::kInt8SumRows;
    int h = 0;
    for (; h + R <= sums.n_queries; h += R) round_queries<R>(sums, headers, h, codes);
    for (; h < sums.n_queries; ++h) round_queries<1>(sums, headers, h, codes);
  }

  /// Weights of queries [h, h + R) for B blocks, side by side: each list alone waits for its
  /// reductions. List k·R + r is that of query h + r and block k.
  template <int R, int B, class Source>
  static void round_queries(const Sums& sums, const Source (&headers)[B], int h,
                            Codes (&codes)[B]) {
    constexpr int L = R * B;
    const float* weights[R];
    alignas(64) float scaled[L][kRows];
    F top[L];
    F middle[L];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      weights[r] = sums.weights + static_cast<size_t>(h + r) * sums.weights_stride;
    }
#pragma GCC unroll 8
    for (int l = 0; l < L; ++l) top[l] = middle[l] = S::zero();
    alignas(64) float last[R][16] = {};
    for (int i = 0; i < sums.n; i += 16) {
      if (h == 0) sums.ahead.lines(B);
      F weight[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const float* w = weights[r] + i;
        if (sums.n - i < 16) {  // what lies beyond may not even be a number
          memcpy(last[r], w, static_cast<size_t>(sums.n - i) * sizeof(float));
          w = last[r];
        }
        weight[r] = S::load(w);
      }
#pragma GCC unroll 2
      for (int k = 0; k < B; ++k) {
        const F scale = headers[k].scale(i);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          const int l = k * R + r;
          const F product = S::mul(weight[r], scale);
          if constexpr (Panel::kHasMinimum) {
            middle[l] = S::fma(weight[r], headers[k].middle(i), middle[l]);
          }
          top[l] = S::max(product, top[l]);
          S::store(scaled[l] + i, product);
        }
      }
    }
    F inverse[L];
#pragma GCC unroll 8
    for (int l = 0; l < L; ++l) {
      const float largest = S::reduce_max(top[l]);
      // Smaller products than this are nothing beside any value, and their inverse may not exist.
      const bool none = largest < 1e-30f;
      codes[l / R].step[h + l % R] = none ? 0.0f : largest * (Format::kInt8Unit / kTop);
      inverse[l] = S::set1(none ? 0.0f : kTop / largest);
    }
    for (int i = (sums.n + 15) / 16 * 16; i % 64 != 0; i += 16) {
      for (int l = 0; l < L; ++l) S::store(scaled[l] + i, S::zero());
    }
    I total[L];
#pragma GCC unroll 8
    for (I& sum : total) sum = S::set1_i32(0);
    for (int i = 0; i < sums.n; i += 64) {
      if (h == 0) sums.ahead.lines(4 * B);
#pragma GCC unroll 8
      for (int l = 0; l < L; ++l) {
        I code[4];
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          code[k] = S::to_int(S::mul(S::load(scaled[l] + i + 16 * k), inverse[l]));
          if constexpr (kMiddle > 0) total[l] = S::add_i32(total[l], code[k]);
        }
        RowSums::store(codes[l / R].weights[h + l % R], i, code);
      }
    }
#pragma GCC unroll 8
    for (int l = 0; l < L; ++l) {
      if constexpr (kMiddle > 0) {
        const F steps = S::set1(-kMiddle * codes[l / R].step[h + l % R]);
        middle[l] = S::fma(S::to_float(total[l]), steps, middle[l]);
      }
      codes[l / R].rest[h + l % R] = S::reduce_add(middle[l]);
    }
  }

  /// Codes of rows straight from their panels, unpacked at each use, for C vectors of sums.
  template <int C>
  struct Packed {
    using Loaded = I;
    const Sums& sums;
    int j;

    /// Of rows [i, i + 16): row i + 4·q + r is byte r of a lane in v[c][q].
    QUANT_INLINE void load(int i, I (&v)[C][4]) const {
      const auto rows = Panel::rows_at(sums.panels, sums.d, i);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) Panel::codes16(rows, j + 16 * c, v[c]);
    }
    static QUANT_INLINE Values values(I codes) { return RowSums::values(Format::int8(codes)); }
  };
  /// Codes unpacked once for many queries.
  template <int C>
  struct Unpacked {
    using Loaded = Values;
    alignas(64) Values rows[kRows / 4][C];

    Unpacked(const Packed<C>& source, int n) {
      for (int i = 0; i < n; i += 16) {
        I v[C][4];
        source.load(i, v);
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) {
#pragma GCC unroll 4
          for (int c = 0; c < C; ++c) rows[i / 4 + q][c] = Packed<C>::values(v[c][q]);
        }
      }
    }
    QUANT_INLINE void load(int i, Values (&v)[C][4]) const {
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) v[c][q] = rows[i / 4 + q][c];
      }
    }
    static QUANT_INLINE Values values(Values v) { return v; }
  };

  /// Columns [j, j + 16·C) of acc.
  template <int C>
  static void add_columns(const Sums& sums, const Codes& codes, int j) {
    constexpr int R = S::kInt8SumRows;
    const Packed<C> source{sums, j};
    if (sums.n_queries <= R) {
      add_queries<R, C>(sums.n_queries, 0, sums, codes, source, j);
      return;
    }
    const Unpacked<C> unpacked(source, sums.n);
    if constexpr (HasTiles<S>) {
      add_tiles<C>(sums, codes, unpacked, j);
      return;
    }
    for_query_blocks(sums.n_queries, R, [&](int first, int count) {
      add_queries<R, C>(count, first, sums, codes, unpacked, j);
    });
  }

  /// All queries in a matrix unit, sixteen with 64 rows at a time; the same bits. Codes of weights
  /// are 0 up to a multiple of 64 rows, where the rows' own codes may be anything.
  template <int C>
  static void add_tiles(const Sums& sums, const Codes& codes, const Unpacked<C>& source, int j) {
    typename S::template Tiles<64, uint8_t> tiles(sums.n_queries % S::kInt8Rows);
    constexpr int B = RowSums::kBytes;
    alignas(64) int32_t total[B][C][S::kInt8Rows][16];
    for (int first = 0; first < sums.n_queries; first += S::kInt8Rows) {
      const auto sum = [&]<int Slot>(int byte, int c) __attribute__((always_inline)) {
        tiles.template clear<Slot>();
        for (int i = 0; i < sums.n; i += 64) {
          sums.ahead.step();
          tiles.template add<Slot>(codes.weights[first].byte[byte] + i, sizeof codes.weights[0],
                                   &source.rows[i / 4][c], sizeof source.rows[0]);
        }
        tiles.template store<Slot>(total[byte][c]);
      };
      const int left = sums.n_queries - first;
      for (int c = 0; c < C; ++c) {
        for (int byte = 0; byte < B; ++byte) {
          if (left >= S::kInt8Rows) {
            sum.template operator()<0>(byte, c);
          } else {
            sum.template operator()<1>(byte, c);
          }
        }
      }
      for (int r = 0; r < left && r < S::kInt8Rows; ++r) {
        typename RowSums::Sums rows[C];
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) {
#pragma GCC unroll 2
          for (int byte = 0; byte < B; ++byte) {
            rows[c].byte[byte] = S::load_i32(total[byte][c][r]);
          }
        }
        add_sums<C>(sums, codes, first + r, j, rows);
      }
    }
  }

  /// m <= R queries from `first` on: finds the kernel of exactly that many.
  template <int R, int C, class Source>
  static void add_queries(int m, int first, const Sums& sums, const Codes& codes,
                          const Source& source, int j) {
    if constexpr (R > 1) {
      if (m < R) return add_queries<R - 1, C>(m, first, sums, codes, source, j);
    }
    typename RowSums::Sums rows[R][C];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) rows[r][c] = RowSums::zero();
    }
    for (int i = 0; i < sums.n; i += 16) {
      sums.ahead.step();
      typename Source::Loaded loaded[C][4];
      source.load(i, loaded);
      // Each made into values where they are used: all at once, they would not fit the registers.
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) {
          const Values values = Source::values(loaded[c][q]);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) {
            rows[r][c] = RowSums::add(rows[r][c], values, codes.weights[first + r], i + 4 * q);
          }
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) add_sums<C>(sums, codes, first + r, j, rows[r]);
  }

  /// Adds what integer sums of columns [j, j + 16·C) stand for to a query's.
  template <int C>
  static QUANT_INLINE void add_sums(const Sums& sums, const Codes& codes, int query, int j,
                                    const typename RowSums::Sums (&rows)[C]) {
    const F step = S::set1(codes.step[query]);
    const F rest = S::set1(codes.rest[query]);
    float* out = sums.acc + query * sums.d + j;
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      const F value = S::fma(RowSums::total(rows[c]), step, S::load(out + 16 * c));
      S::store(out + 16 * c, Panel::kHasMinimum ? S::add(value, rest) : value);
    }
  }
};

}  // namespace quant
