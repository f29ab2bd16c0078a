// Scores of fp16 rows in integers: a row's words times a query's, two coordinates a product.
#pragma once

#include "base/inline.h"
#include "formats/kv/half_rows.h"
#include "simd/fetch.h"

namespace quant {

template <class S, class Format>
struct KvScoreInt16 {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  /// Keys may have a channel many times as large as the others: 15 bits leave those enough.
  using Rows = KvHalfRows<S, 15>;
  /// A tile that many queries share is worth storing; these few take each 16×32 block straight from
  /// the transposition.
  static constexpr int kFewQueries = S::kFloatRows < 8 ? S::kFloatRows : 8;

  /// Words of a query: coordinates j + l and j + 16 + l of each 32 lie beside each other.
  static constexpr int words(int d) { return (d + 31) / 32 * 32; }

  static void prepare(const float* query, int d, int row, const KvIntQueries& out) {
    F sum = S::zero();
    for (int j = 0; j < d; j += 16) sum = S::add(sum, S::abs(S::load(query + j)));
    const float step = Rows::step(KvRow<S>::max_magnitude(query, d), S::reduce_add(sum));
    const float inverse = Rows::inverse_of(step);
    int16_t* codes = static_cast<int16_t*>(out.codes) + row * words(d);
    for (int j = 0; j < d; j += 32) {
      const I a = Rows::word(S::load(query + j), inverse);
      const I b = j + 16 < d ? Rows::word(S::load(query + j + 16), inverse) : S::set1_i32(0);
      S::store_i32(reinterpret_cast<int32_t*>(codes + j), S::pair_words(a, b));
    }
    out.scale[static_cast<size_t>(row) * static_cast<size_t>(d / 16)] = step;
  }

  static void score(const uint8_t* panels, int n, int d, const KvIntQueries& queries, int n_queries,
                    float* scores, size_t scores_stride, const Fetch& fetch) {
    FetchSteps ahead(fetch, static_cast<size_t>((n + 15) / 16 * ((d + 31) / 32) * 4));
    const Product product{panels, n, d, queries, n_queries, scores, scores_stride, ahead};
    if (n_queries <= kFewQueries) {
      few<kFewQueries>(product);
    } else {
      many(product);
    }
  }

 private:
  struct Product {
    const uint8_t* panels;
    int n;
    int d;
    const KvIntQueries& queries;
    int n_queries;
    float* scores;
    size_t scores_stride;
    FetchSteps& ahead;  // a step for each 16×32 block

    const uint8_t* row(int i) const {
      return panels + static_cast<size_t>(i) * Format::row_bytes(d);
    }
    const int16_t* words(int query) const {
      return static_cast<const int16_t*>(queries.codes) + query * KvScoreInt16::words(d);
    }
    float step(int query) const {
      return queries.scale[static_cast<size_t>(query) * static_cast<size_t>(d / 16)];
    }
  };
  struct Sixteen {
    int first;
    int lanes;
    F unit;
    alignas(64) float round[16];  // see KvHalfRows
  };

  static QUANT_INLINE void measure(const Product& product, int first, Sixteen& rows) {
    rows.first = first;
    rows.lanes = product.n - first < 16 ? product.n - first : 16;
    const auto units = Rows::measure(product.row(first), product.d);
    rows.unit = units.unit;
    S::store(rows.round, units.round);
  }

  /// Coordinates [j, j + 32) of sixteen rows, a lane each: j + l and j + 16 + l in block[l].
  static QUANT_INLINE void load(const Product& product, const Sixteen& rows, int j,
                                I (&block)[16]) {
    const uint8_t* row = product.row(rows.first);
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r, row += Format::row_bytes(product.d)) {
      if (r % 4 == 0) product.ahead.step();
      const float round = rows.round[r];
      const F a = Format::values16(row, product.d, j);
      const F b = j + 16 < product.d ? Format::values16(row, product.d, j + 16) : S::zero();
      block[r] = Rows::pair(a, round, b, round);
    }
    S::transpose(block);
  }

  static QUANT_INLINE void store(const Product& product, const Sixteen& rows, int query, I sum) {
    const F factor = S::mul(rows.unit, S::set1(product.step(query)));
    const F score = S::mul(S::to_float(sum), factor);
    float* out = product.scores + static_cast<size_t>(query) * product.scores_stride + rows.first;
    if (rows.lanes == 16) {
      S::store(out, score);
    } else {
      S::store_partial(out, score, rows.lanes);
    }
  }

  /// Finds the kernel of exactly as many queries.
  template <int R>
  static void few(const Product& product) {
    if constexpr (R > 1) {
      if (product.n_queries < R) return few<R - 1>(product);
    }
    const int16_t* words = product.words(0);
    const int stride = KvScoreInt16::words(product.d);
    for (int i = 0; i < product.n; i += 16) {
      Sixteen rows;
      measure(product, i, rows);
      I sum[R];
#pragma GCC unroll 8
      for (int h = 0; h < R; ++h) sum[h] = S::set1_i32(0);
      for (int j = 0; j < product.d; j += 32) {
        I block[16];
        load(product, rows, j, block);
#pragma GCC unroll 16
        for (int k = 0; k < 16; ++k) {
#pragma GCC unroll 8
          for (int h = 0; h < R; ++h) {
            sum[h] = S::dot2(sum[h], block[k], words + h * stride + j + 2 * k);
          }
        }
      }
#pragma GCC unroll 8
      for (int h = 0; h < R; ++h) store(product, rows, h, sum[h]);
    }
  }

  static void many(const Product& product) {
    alignas(64) int32_t tile[kKvMaxHeadDim / 2][16];  // pairs of coordinates, lane = position
    for (int i = 0; i < product.n; i += 16) {
      Sixteen rows;
      measure(product, i, rows);
      for (int j = 0; j < product.d; j += 32) {
        I block[16];
        load(product, rows, j, block);
#pragma GCC unroll 16
        for (int k = 0; k < 16; ++k) S::store_i32(tile[j / 2 + k], block[k]);
      }
      for_query_blocks(product.n_queries, S::kWordRows, [&](int first, int count) {
        multiply<S::kWordRows>(count, first, product, rows, tile);
      });
    }
  }

  /// m <= R queries from `first` on: finds the kernel of exactly that many.
  template <int R>
  static void multiply(int m, int first, const Product& product, const Sixteen& rows,
                       const int32_t (*tile)[16]) {
    if constexpr (R > 1) {
      if (m < R) return multiply<R - 1>(m, first, product, rows, tile);
    }
    const int16_t* words = product.words(first);
    const int stride = KvScoreInt16::words(product.d);
    I sum[R];
#pragma GCC unroll 16
    for (int h = 0; h < R; ++h) sum[h] = S::set1_i32(0);
    for (int k = 0; k < stride / 2; ++k) {
      const I pair = S::load_i32(tile[k]);
#pragma GCC unroll 16
      for (int h = 0; h < R; ++h) sum[h] = S::dot2(sum[h], pair, words + h * stride + 2 * k);
    }
#pragma GCC unroll 16
    for (int h = 0; h < R; ++h) store(product, rows, first + h, sum[h]);
  }
};

}  // namespace quant
