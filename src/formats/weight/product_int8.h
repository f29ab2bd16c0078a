// Products of stored codes with int8 inputs: fast mode.
#pragma once

#include "formats/weight/weight_format.h"

namespace quant {

template <class S, class Format>
struct Int8Product {
  static constexpr int kColumns = 256;  // decoded at a time
  static constexpr int kSub = Format::kSubBlock;
  static constexpr int kSubBlocks = kColumns / kSub;

  static void product(const std::byte* rows, size_t row_bytes, int n_rows, int64_t cols,
                      const Int8Inputs& x, float* out, size_t out_stride) {
    Tile tile;
    for (int64_t begin = 0; begin < cols; begin += kColumns) {
      const int n = cols - begin < kColumns ? static_cast<int>(cols - begin) : kColumns;
      fill_tile(reinterpret_cast<const uint8_t*>(rows), row_bytes, n_rows, begin, n, tile);
      multiply<S::kInt8Rows>(tile, Columns{begin, n / kSub, cols, begin == 0}, x, 0, out,
                             out_stride);
    }
  }

 private:
  /// Sixteen rows of up to 256 columns, lane = row.
  struct Tile {
    alignas(64) int8_t codes[kColumns / 4][kPanelRows][4];
    alignas(64) float scale[kSubBlocks][kPanelRows];
    alignas(64) float minimum[kSubBlocks][kPanelRows];
  };
  struct Columns {
    int64_t begin;
    int sub_blocks;
    int64_t cols;  // of a whole row
    bool first;    // out holds nothing yet
  };

  static void fill_tile(const uint8_t* rows, size_t row_bytes, int n_rows, int64_t begin, int n,
                        Tile& tile) {
    alignas(64) int8_t codes[kPanelRows][kColumns];
    for (int r = 0; r < kPanelRows; ++r) {
      const size_t row = static_cast<size_t>(r < n_rows ? r : n_rows - 1);
      const uint8_t* block = rows + row * row_bytes + begin / Format::kValues * Format::kBytes;
      for (int at = 0; at < n; at += Format::kValues, block += Format::kBytes) {
        float scale[Format::kValues / kSub];
        float minimum[Format::kValues / kSub];
        Format::decode(block, codes[r] + at, scale, minimum);
        for (int i = 0; i < Format::kValues / kSub; ++i) {
          tile.scale[at / kSub + i][r] = scale[i];
          if constexpr (Format::kHasMinimum) tile.minimum[at / kSub + i][r] = minimum[i];
        }
      }
    }
    // Four codes are one 32-bit lane: 64 columns of 16 rows transpose like 16 floats of 16 rows.
    for (int at = 0; at < n; at += 64) {
      typename S::F32x16 block[16];
      for (int r = 0; r < 16; ++r)
        block[r] = S::load(reinterpret_cast<const float*>(codes[r] + at));
      S::transpose(block);
      for (int k = 0; k < 16; ++k)
        S::store(reinterpret_cast<float*>(tile.codes[at / 4 + k]), block[k]);
    }
  }

  template <int R>
  static void multiply(const Tile& tile, const Columns& columns, const Int8Inputs& x, int row,
                       float* out, size_t out_stride) {
    for (; row + R <= x.m; row += R) {
      multiply_rows<R>(tile, columns, x, row, out + static_cast<size_t>(row) * out_stride,
                       out_stride);
    }
    if constexpr (R > 1) {
      if (row < x.m) multiply<R / 2>(tile, columns, x, row, out, out_stride);
    }
  }

  template <int R>
  static void multiply_rows(const Tile& tile, const Columns& columns, const Int8Inputs& x, int row,
                            float* out, size_t out_stride) {
    const int64_t sum_blocks = columns.cols / kInt8SumBlock;
    const int64_t scale_blocks = columns.cols / kInt8Block;
    const int8_t* q = x.q + row * columns.cols + columns.begin;
    const float* x_scale = x.scale + row * scale_blocks + columns.begin / kInt8Block;
    const int32_t* x_sum = x.sum + row * sum_blocks + columns.begin / kInt8SumBlock;
    typename S::F32x16 acc[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      acc[i] = columns.first ? S::zero() : S::load(out + static_cast<size_t>(i) * out_stride);
    }
    for (int sub = 0; sub < columns.sub_blocks; ++sub) {
      typename S::I32x16 products[R];
      int32_t sums[R];
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const int32_t* sum = x_sum + i * sum_blocks + sub * (kSub / kInt8SumBlock);
        sums[i] = kSub == 16 ? sum[0] : sum[0] + sum[1];
        products[i] = S::dot_start(sums[i]);
      }
#pragma GCC unroll 8
      for (int k = 0; k < kSub / 4; ++k) {
        const auto weights = S::dot_weights(&tile.codes[sub * (kSub / 4) + k][0][0]);
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
          products[i] = S::dot4(products[i], weights, q + i * columns.cols + sub * kSub + 4 * k);
        }
      }
      const auto scale = S::load(tile.scale[sub]);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const float input_scale = x_scale[i * scale_blocks + sub * kSub / kInt8Block];
        acc[i] = S::fma(S::to_float(products[i]), S::mul(scale, S::set1(input_scale)), acc[i]);
        if constexpr (Format::kHasMinimum) {
          const float offset = input_scale * static_cast<float>(sums[i]);
          acc[i] = S::fma(S::load(tile.minimum[sub]), S::set1(offset), acc[i]);
        }
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) S::store(out + static_cast<size_t>(i) * out_stride, acc[i]);
  }
};

}  // namespace quant
