// Products of stored codes with int8 inputs: fast mode.
#pragma once

#include "formats/weight/code_tile.h"

namespace quant {

/// An output is a sum over blocks of 32 columns in order, each added by one fma with the input's
/// scale. Within a block, sub-blocks in order add scale·Σ code·q and minimum·Σ q, where the sums
/// are integers; without minimums that is exact but for one rounding a sub-block.
template <class S, class Format>
struct Int8Product {
  using Panel = CodePanel<S, Format>;
  using Tile = typename Panel::Tile;

  static void product(const std::byte* rows, size_t row_bytes, int n_rows, int64_t cols,
                      const Int8Inputs& x, float* out, size_t out_stride) {
    typename Panel::Scratch scratch;
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = cols - begin < kTileColumns ? static_cast<int>(cols - begin) : kTileColumns;
      Panel::read(reinterpret_cast<const uint8_t*>(rows), row_bytes, n_rows, begin, n, scratch);
      const Inputs inputs{x.q + begin, x.scale + begin / kInt8Block, x.sum + begin / kInt8SumBlock,
                          cols};
      if (begin == 0) {
        multiply<kRows, false>(scratch.tile, n, inputs, 0, x.m, out, out_stride);
      } else {
        multiply<kRows, true>(scratch.tile, n, inputs, 0, x.m, out, out_stride);
      }
    }
  }

 private:
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  static constexpr int kSub = Format::kSubBlock;
  /// Codes of formats with minimums are never negative.
  static constexpr bool kSigned = !Format::kHasMinimum;
  /// Two sub-blocks a block need registers for a third sum (Zen 4, Q6_K: 10 % faster with 8 than
  /// 12).
  static constexpr int kRows = kSub == 16 ? (2 * S::kInt8Rows + 2) / 3 : S::kInt8Rows;

  /// Int8Inputs from the tile's first column on.
  struct Inputs {
    const int8_t* q;
    const float* scale;
    const int32_t* sum;
    int64_t cols;  // of a whole row
  };

  /// Rows [row, m): R at a time, then halves of that.
  template <int R, bool Accumulate>
  static void multiply(const Tile& tile, int n, const Inputs& x, int row, int m, float* out,
                       size_t out_stride) {
    for (; row + R <= m; row += R) {
      const Inputs part{x.q + row * x.cols, x.scale + row * (x.cols / kInt8Block),
                        x.sum + row * (x.cols / kInt8SumBlock), x.cols};
      multiply_rows<R, Accumulate>(tile, n, part, out + static_cast<size_t>(row) * out_stride,
                                   out_stride);
    }
    if constexpr (R > 1) {
      if (row < m) multiply<R / 2, Accumulate>(tile, n, x, row, m, out, out_stride);
    }
  }

  template <int R, bool Accumulate>
  static void multiply_rows(const Tile& tile, int n, const Inputs& x, float* out,
                            size_t out_stride) {
    F acc[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      acc[i] = Accumulate ? S::load(out + static_cast<size_t>(i) * out_stride) : S::zero();
    }
    for (int b = 0; b < n / kInt8Block; ++b) {
      F block[R];
      add_sub_block<R, true>(tile, kInt8Block / kSub * b, x, block);
      if constexpr (kSub == 16) add_sub_block<R, false>(tile, 2 * b + 1, x, block);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        acc[i] = S::fma(block[i], S::set1(x.scale[i * (x.cols / kInt8Block) + b]), acc[i]);
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) S::store(out + static_cast<size_t>(i) * out_stride, acc[i]);
  }

  /// block[i] (+)= scale·Σ code·q (+ minimum·Σ q) over sub-block `sub` of the tile.
  template <int R, bool First>
  static inline __attribute__((always_inline)) void add_sub_block(const Tile& tile, int sub,
                                                                  const Inputs& x, F (&block)[R]) {
    const int8_t* q[R];
    const int32_t* sums[R];
    I products[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      q[i] = x.q + i * x.cols + sub * kSub;
      sums[i] = x.sum + i * (x.cols / kInt8SumBlock) + sub * (kSub / kInt8SumBlock);
      products[i] = S::template dot_start<kSigned>(kSub == 16 ? *sums[i] : sums[i][0] + sums[i][1]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < kSub / 4; ++g) {
      const auto codes = S::template dot_weights<kSigned>(
          reinterpret_cast<const int8_t*>(tile.codes[sub * (kSub / 4) + g]));
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        products[i] = S::template dot4<kSigned>(products[i], codes, q[i] + 4 * g);
      }
    }
    const F scale = S::load(tile.scale[sub]);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const F product = S::to_float(products[i]);
      if constexpr (Format::kHasMinimum) {
        const F minimum = S::load(tile.minimum[sub]);
        I sum = S::set1_i32(sums[i][0]);
        if constexpr (kSub == 32) sum = S::add_i32(sum, S::set1_i32(sums[i][1]));
        const F q_sum = S::to_float(sum);
        block[i] = First ? S::mul(minimum, q_sum) : S::fma(minimum, q_sum, block[i]);
        block[i] = S::fma(product, scale, block[i]);
      } else {
        block[i] = First ? S::mul(product, scale) : S::fma(product, scale, block[i]);
      }
    }
  }
};

}  // namespace quant
