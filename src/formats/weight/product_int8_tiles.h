// Products of packed codes with int8 inputs in fast mode, sixteen inputs by sixteen rows at a time
// in a matrix unit.
#pragma once

#include "formats/weight/product_int8.h"

namespace quant {

template <class S>
concept HasTiles = requires { typename S::template Tiles<kInt8Block>; };

/// Int8Product with the sums over a sub-block from S::Tiles; the same bits. A group's sums are made
/// while those of the group before are scaled and added, which takes longer.
template <class S, class Format>
struct Int8TileProduct {
  using Panel = CodePanel<S, Format>;
  using Tile = typename Panel::Tile;

  static void product(const std::byte* panel, int64_t cols, const Int8Inputs& x, float* out,
                      size_t out_stride) {
    if (x.m == 1) {
      Int8Product<S, Format>::product(panel, cols, x, out, out_stride);
      return;
    }
    for (int i = 0; i < x.m; ++i) S::store(out + static_cast<size_t>(i) * out_stride, S::zero());
    const Tiles tiles(x.m % kGroup);
    Tile tile;
    const uint8_t* packed = reinterpret_cast<const uint8_t*>(panel);
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = tile_columns(cols, begin);
      prefetch_ahead(packed, Format::tile_bytes(n));
      Format::unpack(packed, n, tile);
      packed += Format::tile_bytes(n);
      multiply(tiles, tile, n / kSub, cols, begin, x, out, out_stride);
    }
  }

 private:
  using F = typename S::F32x16;
  static constexpr int kSub = Format::kSubBlock;
  static constexpr int kGroup = S::kInt8Rows;
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
  static void multiply(const Tiles& tiles, const Tile& tile, int n, int64_t cols, int64_t begin,
                       const Int8Inputs& x, float* out, size_t out_stride) {
    const auto group_at = [&](int row) {
      const int g = x.m - row < kGroup ? x.m - row : kGroup;
      const int64_t at = row * (cols / kInt8Block) + begin / kInt8Block * g;
      return Group{x.q + at * kInt8Block, x.scale + at, x.scaled_sum + at * kInt8Sums, g};
    };
    alignas(64) Sums buffers[2 * kTileColumns / kSub + 2];
    Sums* sums = buffers;
    Sums* next_sums = buffers + kTileColumns / kSub + 2;
    Group group = group_at(0);
    for (int sub = 0; sub < n; ++sub) sum_any(tiles, tile, sub, group, sums[sub]);
    for (int row = 0; row < x.m; row += kGroup, out += kGroup * out_stride) {
      const Group next = group_at(row + kGroup);
      if (next.g == kGroup) {
        add_rows<kGroup>(tile, n, group, 0, sums, out, out_stride,
                         [&](int sub) __attribute__((always_inline)) {
                           sum<0>(tiles, tile, sub, next, next_sums[sub]);
                         });
      } else {
        const auto nothing = [](int) {};
        for (int sub = 0; sub < n && next.g > 0; ++sub) {
          sum<1>(tiles, tile, sub, next, next_sums[sub]);
        }
        int i = 0;
        for (; i + 4 <= group.g; i += 4) {
          add_rows<4>(tile, n, group, i, sums, out, out_stride, nothing);
        }
        for (; i < group.g; ++i) add_rows<1>(tile, n, group, i, sums, out, out_stride, nothing);
      }
      group = next;
      Sums* const done = sums;
      sums = next_sums;
      next_sums = done;
    }
  }

  /// The integer sums of a sub-block for a full group in slot 0, for what is left in slot 1.
  static void sum_any(const Tiles& tiles, const Tile& tile, int sub, const Group& x, Sums& out) {
    if (x.g == kGroup) {
      sum<0>(tiles, tile, sub, x, out);
    } else {
      sum<1>(tiles, tile, sub, x, out);
    }
  }
  template <int Slot>
  static inline __attribute__((always_inline)) void sum(const Tiles& tiles, const Tile& tile,
                                                        int sub, const Group& x, Sums& out) {
    const int column = sub * kSub;
    const int8_t* q = x.q + column / kInt8Block * kInt8Block * x.g + column % kInt8Block;
    tiles.template sum<Slot>(q, tile.codes + sub * (kSub / 4), out);
  }

  /// Scales and adds the sums of inputs [first, first + R); beside(sub) is done between them.
  template <int R, class Beside>
  static void add_rows(const Tile& tile, int n, const Group& x, int first, const Sums* sums,
                       float* out, size_t out_stride, const Beside& beside) {
    out += static_cast<size_t>(first) * out_stride;
    F acc[R];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) acc[i] = S::load(out + static_cast<size_t>(i) * out_stride);
    for (int sub = 0; sub < n; ++sub) {
      beside(sub);
      add<R>(tile, sub, x, first, sums[sub], acc);
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) S::store(out + static_cast<size_t>(i) * out_stride, acc[i]);
  }

  template <int R>
  static inline __attribute__((always_inline)) void add(const Tile& tile, int sub, const Group& x,
                                                        int first, const Sums& sums, F (&acc)[R]) {
    const int block = sub * kSub / kInt8Block;
    const int part = kSub == kInt8Block ? 2 : sub % 2;
    const F scale = S::load(tile.scale[sub]);
    const float* x_scale = x.scale + block * x.g + first;
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const F sum = S::to_float(S::load_i32(sums[first + i]));
      acc[i] = S::fma(S::mul(sum, scale), S::set1(x_scale[i]), acc[i]);
    }
    if constexpr (Format::kHasMinimum) {
      const F minimum = S::load(tile.minimum[sub]);
      const float* scaled_sum = x.scaled_sum + (block * kInt8Sums + part) * x.g + first;
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) acc[i] = S::fma(minimum, S::set1(scaled_sum[i]), acc[i]);
    }
  }
};

}  // namespace quant
