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
    constexpr size_t kBeyond = 16;  // bytes that fill_int8 may read
    const size_t row_bytes = Format::row_bytes(d);
    KvTile tile;
    alignas(64) uint8_t last[16 * Format::row_bytes(kKvMaxHeadDim) + kBeyond];
    for (int i = 0; i < n; i += 16) {
      const uint8_t* first = rows + static_cast<size_t>(i) * row_bytes;
      const int lanes = n - i < 16 ? n - i : 16;
      if (static_cast<size_t>(n - i) * row_bytes < 16 * row_bytes + kBeyond) {
        memcpy(last, first, static_cast<size_t>(lanes) * row_bytes);
        for (int r = lanes; r < 16; ++r)
          memcpy(last + static_cast<size_t>(r) * row_bytes, first, row_bytes);
        first = last;
      }
      Format::fill_int8(first, d, tile);
      int h = 0;
      for (; h + S::kInt8Rows <= n_queries; h += S::kInt8Rows) {
        multiply<S::kInt8Rows>(S::kInt8Rows, tile, d, queries, h, scores + i, scores_stride, lanes);
      }
      if (h < n_queries) {
        multiply<S::kInt8Rows>(n_queries - h, tile, d, queries, h, scores + i, scores_stride,
                               lanes);
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

  /// m <= R queries from h on: finds the kernel of exactly that many.
  template <int R>
  static void multiply(int m, const KvTile& tile, int d, const KvInt8Queries& queries, int h,
                       float* scores, size_t scores_stride, int lanes) {
    if constexpr (R > 1) {
      if (m < R) return multiply<R - 1>(m, tile, d, queries, h, scores, scores_stride, lanes);
    }
    const size_t row = static_cast<size_t>(h);
    const size_t dim = static_cast<size_t>(d);
    const int8_t* codes = queries.codes + row * dim;
    const size_t blocks = dim / 16;
    const float* scale = queries.scale + row * blocks;
    const int32_t* code_sum = queries.sum + row * blocks;
    const float* total = queries.total + row * blocks;
    const int block = Format::int8_block(d);
    F sum[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sum[r] = S::zero();
    for (int j = 0, b = 0; j < d; j += block, ++b) {
      const int end = j + block < d ? j + block : d;
      I acc[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        acc[r] = S::template dot_start<kSigned>(
            code_sum[static_cast<size_t>(r) * blocks + static_cast<size_t>(b)]);
      }
      for (int k = j; k < end; k += 4) {
        const auto column = S::template dot_weights<kSigned>(tile.codes[k / 4]);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          acc[r] =
              S::template dot4<kSigned>(acc[r], column, codes + static_cast<size_t>(r) * dim + k);
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const size_t at = static_cast<size_t>(r) * blocks + static_cast<size_t>(b);
        const F factor = S::mul(S::load(tile.scale[b]), S::set1(scale[at]));
        sum[r] = S::fma(S::to_float(acc[r]), factor, sum[r]);
        if constexpr (Format::kInt8Minimum) {
          sum[r] = S::fma(S::load(tile.minimum[b]), S::set1(total[at]), sum[r]);
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      float* out = scores + static_cast<size_t>(h + r) * scores_stride;
      if (lanes == 16) {
        S::store(out, sum[r]);
      } else {
        S::store_partial(out, sum[r], lanes);
      }
    }
  }
};

}  // namespace quant
