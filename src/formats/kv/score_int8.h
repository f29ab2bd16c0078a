// Scores in integers: int8 queries times the int8 codes of sixteen rows at a time, one lane a row.
//
// A format with integer codes says
//   int8_block(d): values that share a scale, at most d;
//   kInt8Signed: whether codes are in [-127, 127] rather than [0, 127];
//   kInt8Unit: what a code of 1 stands for under a scale of 1;
//   kInt8Minimum: whether blocks have a minimum as well;
//   kInt8Order: which coordinate of sixteen each code of a tile comes from, [16];
//   fill_int8(rows, d, tile): the tile of sixteen rows; may read 16 bytes beyond the last one.
#pragma once

#include "formats/kv/kv_format.h"
#include "formats/kv/row.h"
#include "formats/kv/tile.h"

namespace quant {

template <class S, class Format>
struct KvScoreInt8 {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  static constexpr bool kSigned = Format::kInt8Signed;

  static void prepare(const float* query, int d, int row, const KvInt8Queries& out) {
    alignas(64) float x[kKvMaxHeadDim];
    memcpy(x, query, static_cast<size_t>(d) * sizeof(float));
    if constexpr (requires { Format::rotate(x, d); }) Format::rotate(x, d);
    const int block = Format::int8_block(d);
    const size_t blocks = static_cast<size_t>(row) * static_cast<size_t>(d / 16);
    int8_t* codes = out.codes + static_cast<size_t>(row) * static_cast<size_t>(d);
    for (int j = 0, b = 0; j < d; j += block, ++b) {
      const int n = d - j < block ? d - j : block;
      const size_t at = blocks + static_cast<size_t>(b);
      prepare_block(x + j, n, codes + j, out.scale + at, out.sum + at, out.total + at);
    }
  }

  static void score(const uint8_t* rows, int n, int d, const KvInt8Queries& queries, int n_queries,
                    float* scores, size_t scores_stride) {
    constexpr int C = S::kInt8BlockColumns;
    KvTile tile[C];
    for (int i = 0; i < n; i += 16 * C) {
      const int lanes = n - i < 16 * C ? n - i : 16 * C;
      const size_t row_bytes = Format::row_bytes(d);
      prefetch_ahead_of(rows + static_cast<size_t>(i) * row_bytes, 16 * C, row_bytes);
      for (int c = 0; 16 * c < lanes; ++c) fill(rows, n, i + 16 * c, d, tile[c]);
      const Product product{tile, lanes, d, queries, scores + i, scores_stride};
      if (lanes > 16 * (C - 1)) {
        blocks<C>(product, n_queries);
      } else {
        blocks<1>(product, n_queries);
      }
    }
  }

 private:
  static void prepare_block(const float* x, int n, int8_t* codes, float* scale, int32_t* sum,
                            float* total) {
    const float step = KvRow<S>::max_magnitude(x, n) / 127.0f;
    const F inverse = S::set1(step > 0.0f ? 1.0f / step : 0.0f);
    const auto order = S::load_u8(Format::kInt8Order.coordinate);
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

  /// Some tiles times all queries.
  struct Product {
    const KvTile* tile;
    int lanes;  // rows in all tiles
    int d;
    const KvInt8Queries& queries;
    float* scores;
    size_t scores_stride;
  };

  /// The tile of rows [i, i + 16) of n. The last ones are copied, so that reading may run over.
  static void fill(const uint8_t* rows, int n, int i, int d, KvTile& tile) {
    constexpr size_t kBeyond = 16;
    const size_t row_bytes = Format::row_bytes(d);
    const uint8_t* first = rows + static_cast<size_t>(i) * row_bytes;
    if (static_cast<size_t>(n - i) * row_bytes >= 16 * row_bytes + kBeyond) {
      Format::fill_int8(first, d, tile);
      return;
    }
    alignas(64) uint8_t last[16 * Format::row_bytes(kKvMaxHeadDim) + kBeyond];
    const int count = n - i < 16 ? n - i : 16;
    memcpy(last, first, static_cast<size_t>(count) * row_bytes);
    memset(last + static_cast<size_t>(count) * row_bytes, 0,
           static_cast<size_t>(16 - count) * row_bytes + kBeyond);
    Format::fill_int8(last, d, tile);
  }

  /// Divides the queries evenly into blocks that the registers hold.
  template <int C>
  static void blocks(const Product& product, int n_queries) {
    const int count = (n_queries + S::kInt8BlockRows - 1) / S::kInt8BlockRows;
    for (int b = 0; b < count; ++b) {
      const int begin = n_queries * b / count;
      const int end = n_queries * (b + 1) / count;
      multiply<S::kInt8BlockRows, C>(end - begin, begin, product);
    }
  }

  /// m <= R queries from `first` on: finds the kernel of exactly that many.
  template <int R, int C>
  static void multiply(int m, int first, const Product& product) {
    if constexpr (R > 1) {
      if (m < R) return multiply<R - 1, C>(m, first, product);
    }
    const int d = product.d;
    const int block = Format::int8_block(d);
    const int blocks = d / 16;  // of memory; no more than these are used
    const KvTile* tile = product.tile;
    const int8_t* codes =
        product.queries.codes + static_cast<size_t>(first) * static_cast<size_t>(d);
    const size_t at = static_cast<size_t>(first) * static_cast<size_t>(blocks);
    F sum[R][C];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int c = 0; c < C; ++c) sum[r][c] = S::zero();
    }
    for (int j = 0, b = 0; j < d; j += block, ++b) {
      const int end = j + block < d ? j + block : d;
      I acc[R][C];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const I start = S::template dot_start<kSigned>(
            product.queries.sum[at + static_cast<size_t>(r * blocks + b)]);
#pragma GCC unroll 2
        for (int c = 0; c < C; ++c) acc[r][c] = start;
      }
      for (int k = j; k < end; k += 4) {
        typename S::DotWeights column[C];
#pragma GCC unroll 2
        for (int c = 0; c < C; ++c)
          column[c] = S::template dot_weights<kSigned>(tile[c].codes[k / 4]);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
          for (int c = 0; c < C; ++c) {
            acc[r][c] = S::template dot4<kSigned>(acc[r][c], column[c], codes + r * d + k);
          }
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const size_t entry = at + static_cast<size_t>(r * blocks + b);
        const F scale = S::set1(product.queries.scale[entry]);
#pragma GCC unroll 2
        for (int c = 0; c < C; ++c) {
          const F factor = S::mul(S::load(tile[c].scale[b]), scale);
          sum[r][c] = S::fma(S::to_float(acc[r][c]), factor, sum[r][c]);
          if constexpr (Format::kInt8Minimum) {
            const F total = S::set1(product.queries.total[entry]);
            sum[r][c] = S::fma(S::load(tile[c].minimum[b]), total, sum[r][c]);
          }
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      float* out = product.scores + static_cast<size_t>(first + r) * product.scores_stride;
#pragma GCC unroll 2
      for (int c = 0; c < C; ++c) {
        if (16 * c + 16 <= product.lanes) {
          S::store(out + 16 * c, sum[r][c]);
        } else {
          S::store_partial(out + 16 * c, sum[r][c], product.lanes - 16 * c);
        }
      }
    }
  }
};

}  // namespace quant
