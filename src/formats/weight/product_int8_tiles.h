// Products of packed codes with int8 inputs in fast mode, sixteen inputs by sixteen rows at a time
// in a matrix unit.
#pragma once

#include "base/inline.h"
#include "formats/weight/product_int8.h"
#include "simd/tiles.h"

namespace quant {

/// Int8Product with the sums over a sub-block from S::Tiles; the same bits. All sums of a group in
/// a tile of columns come first: vectors that multiply between them have half their speed.
template <class S, class Format>
struct Int8TileProduct {
  static_assert(S::kInt8Columns == kInt8Block);
  using Panel = CodePanel<S, Format>;
  using Tile = typename Panel::Tile;

  static void product(const std::byte* panel, int64_t cols, const Int8Inputs& x, float* out,
                      size_t out_stride) {
    if (x.m < kLeastInputs) {
      Int8Product<S, Format>::product(panel, cols, x, out, out_stride);
      return;
    }
    for (int i = 0; i < x.m; ++i) S::store(out + static_cast<size_t>(i) * out_stride, S::zero());
    Tiles tiles(x.m % kGroup);
    Panel::template for_tiles<false>(panel, cols, [&](int64_t begin, int n, const Tile& tile) {
      multiply(tiles, tile, n / kSub, cols, begin, x, out, out_stride);
    });
  }

 private:
  using F = typename S::F32x16;
  static constexpr int kSub = Format::kSubBlock;
  static constexpr int kGroup = S::kInt8Rows;
  /// Fewer inputs do not pay for configuring the unit and storing its sums.
  static constexpr int kLeastInputs = kGroup / 2;
  using Tiles = typename S::template Tiles<kSub>;
  using Sums = int32_t[kGroup][kPanelRows];

  /// A group of g inputs from some column on; see Int8Inputs.
  struct Group {
    const int8_t* q;
    const float* scale;
    const float* scaled_sum;
    int g;
  };

  /// n sub-blocks of a tile with all inputs.
  static void multiply(Tiles& tiles, const Tile& tile, int n, int64_t cols, int64_t begin,
                       const Int8Inputs& x, float* out, size_t out_stride) {
    const auto group_at = [&](int row) {
      const int g = x.m - row < kGroup ? x.m - row : kGroup;
      const int64_t at = row * (cols / kInt8Block) + begin / kInt8Block * g;
      return Group{x.q + at * kInt8Block, x.scale + at, x.scaled_sum + at * kInt8Sums, g};
    };
    alignas(64) Sums sums[kTileColumns / kSub];
    for (int row = 0; row < x.m; row += kGroup) {
      const Group group = group_at(row);
      float* group_out = out + static_cast<size_t>(row) * out_stride;
      if (group.g == kGroup) {
        for (int sub = 0; sub < n; ++sub) sum<0>(tiles, tile, sub, group, sums[sub]);
        const int8_t* ahead = row + kGroup < x.m ? group_at(row + kGroup).q : nullptr;
        add_rows<kGroup>(tile, n, group, 0, sums, ahead, group_out, out_stride);
      } else {
        for (int sub = 0; sub < n; ++sub) sum<1>(tiles, tile, sub, group, sums[sub]);
        int i = 0;
        for (; i + 4 <= group.g; i += 4) {
          add_rows<4>(tile, n, group, i, sums, nullptr, group_out, out_stride);
        }
        for (; i < group.g; ++i) {
          add_rows<1>(tile, n, group, i, sums, nullptr, group_out, out_stride);
        }
      }
    }
  }

  /// Slot 0 is a full group's, slot 1 that of a group with fewer inputs.
  template <int Slot>
  static QUANT_INLINE void sum(Tiles& tiles, const Tile& tile, int sub, const Group& x, Sums& out) {
    tiles.template clear<Slot>();
    tiles.template add<Slot>(x.q + codes_at(sub, x.g), S::kInt8Columns, tile.codes[sub * kSub / 4],
                             sizeof tile.codes[0]);
    tiles.template store<Slot>(out);
  }
  static int codes_at(int sub, int g) {
    const int column = sub * kSub;
    return column / kInt8Block * kInt8Block * g + column % kInt8Block;
  }
  /// Scales and adds the sums of inputs [first, first + R); meanwhile codes `ahead` come into the
  /// L1 cache, unless there are none.
  template <int R>
  static QUANT_INLINE void add_rows(const Tile& tile, int n, const Group& x, int first,
                                    const Sums* sums, const int8_t* ahead, float* out,
                                    size_t out_stride) {
    out += static_cast<size_t>(first) * out_stride;
    F acc[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) acc[i] = S::load(out + static_cast<size_t>(i) * out_stride);
    for (int sub = 0; sub < n; ++sub) {
      for (int at = 0; at < kSub * R && ahead != nullptr; at += 64) {
        __builtin_prefetch(ahead + sub * kSub * R + at, 0, 3);
      }
      add<R>(tile, sub, x, first, sums[sub], acc);
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) S::store(out + static_cast<size_t>(i) * out_stride, acc[i]);
  }

  template <int R>
  static QUANT_INLINE void add(const Tile& tile, int sub, const Group& x, int first,
                               const Sums& sums, F (&acc)[R]) {
    const int block = sub * kSub / kInt8Block;
    const F scale = S::load(tile.scale[sub]);
    const float* x_scale = x.scale + block * x.g + first;
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const F sum = S::to_float(S::load_i32(sums[first + i]));
      acc[i] = S::fma(S::mul(sum, scale), S::set1(x_scale[i]), acc[i]);
    }
    if constexpr (Format::kHasMinimum) {
      const F minimum = S::load(tile.minimum[sub]);
      const float* scaled_sum =
          x.scaled_sum + (block * kInt8Sums + int8_sum_of(kSub, sub)) * x.g + first;
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) acc[i] = S::fma(minimum, S::set1(scaled_sum[i]), acc[i]);
    }
  }
};

}  // namespace quant
