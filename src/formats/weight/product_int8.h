// Products of packed codes with int8 inputs, any number of them: fast mode.
#pragma once

#include "base/inline.h"
#include "formats/weight/product_int8_single.h"

namespace quant {

/// An output is a sum over sub-blocks in order: integer products, times the weights' scale, added
/// by one fma with the inputs' scale; then minimum·(scale·Σ q) by another. Where inputs lie as a
/// matrix unit wants them, this is for less than a whole group.
template <class S, class Format>
struct Int8Product {
  using Panel = CodePanel<S, Format>;
  using Tile = typename Panel::Tile;

  static void product(const std::byte* panel, int64_t cols, const Int8Inputs& x, float* out,
                      size_t out_stride) {
    // Where groups are single inputs, as without vectors, the kernel of a group serves.
    if constexpr (kGroup > 1) {
      if (x.m == 1) return Int8SingleProduct<S, Format>::product(panel, cols, x, out);
    }
    Panel::template for_tiles<true>(panel, cols, [&](int64_t begin, int n, const Tile& tile) {
      if (begin == 0) {
        multiply<false>(tile, n, cols, begin, x, out, out_stride);
      } else {
        multiply<true>(tile, n, cols, begin, x, out, out_stride);
      }
    });
  }

 private:
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  static constexpr int kSub = Format::kSubBlock;
  static constexpr int kMost = Format::kMostCode;
  /// Words of codes that a running sum takes.
  static constexpr int kRun =
      S::template kDotRun<kMost> < kSub / 4 ? S::template kDotRun<kMost> : kSub / 4;
  static_assert(kSub / 4 % kRun == 0);
  static constexpr int kGroup = S::kInt8Rows;
  static constexpr int kColumns = S::kInt8Columns;
  static constexpr bool kWholeGroups = kColumns == 4;

  /// A group's inputs from some column and some input on; see Int8Inputs.
  struct Inputs {
    const int8_t* q;
    const float* scale;
    const int32_t* sum;
    const float* scaled_sum;
    int stride;  // inputs of the group
  };

  template <bool Accumulate>
  static void multiply(const Tile& tile, int n, int64_t cols, int64_t begin, const Int8Inputs& x,
                       float* out, size_t out_stride) {
    const int64_t blocks = cols / kInt8Block;
    const int64_t first = begin / kInt8Block;
    const auto group_at = [&](int row) {
      const int g = x.m - row < kGroup ? x.m - row : kGroup;
      const int64_t at = row * blocks + first * g;
      return Inputs{x.q + at * kInt8Block, x.scale + at, x.sum + at * kInt8Sums,
                    x.scaled_sum + at * kInt8Sums, g};
    };
    for (int row = 0; row < x.m; row += kGroup) {
      const Inputs group = group_at(row);
      float* group_out = out + static_cast<size_t>(row) * out_stride;
      if constexpr (kWholeGroups) {
        if (group.stride == kGroup) {
          // The next whole group, or this one again, which is there already.
          const int next = row + 2 * kGroup <= x.m ? row + kGroup : row;
          multiply_rows<kGroup, kGroup, Accumulate>(tile, n, group, group_at(next).q, group_out,
                                                    out_stride);
          continue;
        }
      }
      multiply_some<(kGroup + 1) / 2, Accumulate>(tile, n, group, 0, group_out, out_stride);
    }
  }

  /// Inputs [row, stride) of a group that is not full: R at a time, then halves of that.
  template <int R, bool Accumulate>
  static void multiply_some(const Tile& tile, int n, const Inputs& x, int row, float* out,
                            size_t out_stride) {
    for (; row + R <= x.stride; row += R) {
      const Inputs part{x.q + kColumns * row, x.scale + row, x.sum + row, x.scaled_sum + row,
                        x.stride};
      multiply_rows<R, 0, Accumulate>(tile, n, part, nullptr,
                                      out + static_cast<size_t>(row) * out_stride, out_stride);
    }
    if constexpr (R > 1) {
      if (row < x.stride) multiply_some<R / 2, Accumulate>(tile, n, x, row, out, out_stride);
    }
  }

  /// R inputs. Stride: inputs of the group if the compiler may know, else 0. ahead: where there is
  /// a Stride, the same columns of a whole group to ask memory for: a group's are too short a
  /// stream for the processor to foresee.
  template <int R, int Stride, bool Accumulate>
  static void multiply_rows(const Tile& tile, int n, Inputs x, const int8_t* ahead, float* out,
                            size_t out_stride) {
    const int stride = Stride > 0 ? Stride : x.stride;
    F acc[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      acc[i] = Accumulate ? S::load(out + static_cast<size_t>(i) * out_stride) : S::zero();
    }
    for (int b = 0; b < n / kInt8Block; ++b) {
      if constexpr (kSub == 32) {
        add_sub_block<R, Stride>(tile, b, x, acc);
      } else {
        add_sub_block<R, Stride>(tile, 2 * b, x, acc);
        add_sub_block<R, Stride>(tile, 2 * b + 1, x, acc);
      }
      if constexpr (Stride > 0) {
        for (int at = 0; at < kInt8Block * Stride; at += 64) __builtin_prefetch(ahead + at, 0, 3);
        ahead += kInt8Block * Stride;
      }
      x.q += kInt8Block * stride;
      x.scale += stride;
      x.sum += kInt8Sums * stride;
      x.scaled_sum += kInt8Sums * stride;
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) S::store(out + static_cast<size_t>(i) * out_stride, acc[i]);
  }

  /// Adds sub-block `sub` of the tile times R inputs.
  template <int R, int Stride>
  static QUANT_INLINE void add_sub_block(const Tile& tile, int sub, const Inputs& x, F (&acc)[R]) {
    const int stride = Stride > 0 ? Stride : x.stride;
    const int part = int8_sum_of(kSub, sub);
    const int first = sub * kSub % kInt8Block;  // column of the block
    I products[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) products[i] = Panel::sum_start(x.sum[part * stride + i]);
#pragma GCC unroll 8
    for (int run = 0; run < kSub / 4; run += kRun) {
      I running[R];
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) running[i] = S::template dot_open<kMost>(products[i]);
#pragma GCC unroll 8
      for (int g = run; g < run + kRun; ++g) {
        const auto codes =
            S::template dot_weights<kMost>(S::load_i32(tile.codes[sub * (kSub / 4) + g]));
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
          const int column = first + 4 * g;
          const int8_t* q = x.q + (column / kColumns * stride + i) * kColumns + column % kColumns;
          running[i] = S::template dot4<kMost>(running[i], codes, q);
        }
      }
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        products[i] = S::template dot_close<kMost>(products[i], running[i]);
      }
    }
    const F scale = S::load(tile.scale[sub]);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      acc[i] = S::fma(S::mul(S::to_float(products[i]), scale), S::set1(x.scale[i]), acc[i]);
    }
    if constexpr (Format::kHasMinimum) {
      const F minimum = S::load(tile.minimum[sub]);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        acc[i] = S::fma(minimum, S::set1(x.scaled_sum[part * stride + i]), acc[i]);
      }
    }
  }
};

}  // namespace quant
