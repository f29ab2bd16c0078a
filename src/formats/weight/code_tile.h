// A tile of a panel, packed and as codes and scales, one row a lane: what products start from, but
// for those of a single int8 input (product_int8_single.h), which unpack into registers.
#pragma once

#include <string.h>

#include "base/inline.h"
#include "formats/weight/weight_format.h"

namespace quant {

/// Columns that are decoded at a time: a tile of FP32 weights is then 16 KiB and stays in the L1
/// cache while all inputs pass over it.
static constexpr int kTileColumns = 256;

/// Value k of row r is scale[k / SubBlock][r]·code + minimum[k / SubBlock][r], its int8 code being
/// byte k % 4 of codes[k / 4][r], or that less the format's kOffset. Formats without minimums leave
/// theirs untouched.
template <int SubBlock>
struct CodeTile {
  alignas(64) int32_t codes[kTileColumns / 4][kPanelRows];
  alignas(64) float scale[kTileColumns / SubBlock][kPanelRows];
  alignas(64) float minimum[kTileColumns / SubBlock][kPanelRows];
};

/// The words of a packed tile: [word][row].
using PackedWords = const int32_t (*)[kPanelRows];

/// What formats share: operations on the same word of sixteen rows.
template <class S>
struct Words {
  using I = typename S::I32x16;
  using F = typename S::F32x16;

  static QUANT_INLINE I at(const int32_t (&word)[kPanelRows]) { return S::load_i32(word); }
  static QUANT_INLINE I low_nibbles(I v) { return S::template byte_bits<0, 4, 0>(v); }
  static QUANT_INLINE I high_nibbles(I v) { return S::template byte_bits<4, 4, 0>(v); }
  static QUANT_INLINE I all_bytes(int x) { return S::set1_i32(x * 0x01010101); }

  /// The four signed bytes of each lane times d are the scales of sub-blocks [first, first + 4).
  template <class Sink>
  static QUANT_INLINE void scales(I bytes, F d, int first, Sink& sink) {
    for_scaled_bytes(
        bytes, d, [&](int k, F v) __attribute__((always_inline)) { sink.scale(first + k, v); });
  }
  /// Or their minimums.
  template <class Sink>
  static QUANT_INLINE void minimums(I bytes, F d, int first, Sink& sink) {
    for_scaled_bytes(
        bytes, d, [&](int k, F v) __attribute__((always_inline)) { sink.minimum(first + k, v); });
  }

 private:
  template <class Visit>
  static QUANT_INLINE void for_scaled_bytes(I bytes, F d, const Visit& visit) {
    visit(0, S::mul(d, S::to_float(S::template signed_byte<0>(bytes))));
    visit(1, S::mul(d, S::to_float(S::template signed_byte<1>(bytes))));
    visit(2, S::mul(d, S::to_float(S::template signed_byte<2>(bytes))));
    visit(3, S::mul(d, S::to_float(S::template signed_byte<3>(bytes))));
  }
};

/// Columns of the tile that begins at a column.
static constexpr int tile_columns(int64_t cols, int64_t begin) {
  return cols - begin < kTileColumns ? static_cast<int>(cols - begin) : kTileColumns;
}

/// Which of the kInt8Sums sums of a block of inputs belongs to a sub-block of 16 or 32 columns.
static constexpr int int8_sum_of(int sub_block, int sub) {
  return sub_block == kInt8Block ? kInt8Sums - 1 : sub % 2;
}

/// Asks for what follows a packed tile in memory, the next panels, while it is worked on: what the
/// processor foresees by itself is too close.
static inline void prefetch_ahead(const uint8_t* tile, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(tile + kTileFetchAhead + at, 0, 2);
}

/// Panels of one format, which has
///   tile_bytes(n): bytes of a packed tile of n columns, a multiple of 64;
///   pack_row(row, n, lane, tile): puts the blocks of n columns of a row in their places;
///   unpack(tile, n, b, sink): block b of a packed tile of n columns, as calls of
///     sink.scale(k, v) and, where the format has them, sink.minimum(k, v) for sub-block k,
///     sink.codes(i, v) for columns [4·i, 4·i + 4), in any order;
///   kOffset: codes are handed over as code + kOffset;
///   kMostCode: what is handed over lies in [0, kMostCode]; 0: it is any signed bytes.
template <class S, class Format>
struct CodePanel {
  static_assert(Format::kOffset == 0 || !Format::kHasMinimum);
  static_assert((Format::kMostCode > 0) == (Format::kOffset > 0 || Format::kHasMinimum));
  using Tile = CodeTile<Format::kSubBlock>;
  using F = typename S::F32x16;
  using I = typename S::I32x16;

  static constexpr size_t row_bytes(int64_t cols) {
    return static_cast<size_t>(cols / Format::kValues) * Format::kBytes;
  }
  /// Blocks of a row in a tile. Where that is always one, a compiler that did not know would
  /// compute all of a block before a loop over blocks and run out of registers.
  static constexpr int blocks_of(int n) {
    return Format::kValues == kTileColumns ? 1 : n / Format::kValues;
  }
  static size_t panel_bytes(int64_t cols) {
    size_t bytes = 0;
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      bytes += Format::tile_bytes(tile_columns(cols, begin));
    }
    return bytes;
  }

  static void pack(const std::byte* rows, size_t row_bytes, int n_rows, int64_t cols,
                   std::byte* panel) {
    uint8_t* tile = reinterpret_cast<uint8_t*>(panel);
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = tile_columns(cols, begin);
      memset(tile, 0, Format::tile_bytes(n));  // padding
      for (int r = 0; r < kPanelRows; ++r) {
        const size_t row = static_cast<size_t>(r < n_rows ? r : n_rows - 1);
        const auto* blocks = reinterpret_cast<const uint8_t*>(rows + row * row_bytes);
        Format::pack_row(blocks + begin / Format::kValues * Format::kBytes, n, r, tile);
      }
      tile += Format::tile_bytes(n);
    }
  }

  /// Calls visit(begin, n, tile) for each tile of a panel, unpacked: columns [begin, begin + n).
  /// WithOffset: codes keep the format's kOffset.
  template <bool WithOffset, class Visit>
  static void for_tiles(const std::byte* panel, int64_t cols, const Visit& visit) {
    Tile tile;
    const uint8_t* packed = reinterpret_cast<const uint8_t*>(panel);
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = tile_columns(cols, begin);
      prefetch_ahead(packed, Format::tile_bytes(n));
      unpack<WithOffset>(packed, n, tile);
      packed += Format::tile_bytes(n);
      visit(begin, n, tile);
    }
  }

  /// Where the sum of a sub-block's products must start if codes keep their offset.
  static QUANT_INLINE I sum_start(int32_t x_sum) {
    if constexpr (Format::kOffset > 0) return S::set1_i32(-Format::kOffset * x_sum);
    return S::template dot_start<Format::kMostCode>(x_sum);
  }

  /// A packed tile as FP32: out[k][r].
  struct Decoded {
    Tile codes;
    alignas(64) float values[kTileColumns][kPanelRows];
  };
  static const float* decode(const uint8_t* tile, int n, Decoded& out) {
    unpack<false>(tile, n, out.codes);
    for (int k = 0; k < n; k += 4) {
      const auto codes = S::load_i32(out.codes.codes[k / 4]);
      const int sub = k / Format::kSubBlock;
      decode_byte<0>(codes, out.codes, sub, out.values[k]);
      decode_byte<1>(codes, out.codes, sub, out.values[k + 1]);
      decode_byte<2>(codes, out.codes, sub, out.values[k + 2]);
      decode_byte<3>(codes, out.codes, sub, out.values[k + 3]);
    }
    return out.values[0];
  }

 private:
  /// Block b of a tile in memory.
  template <bool WithOffset>
  struct TileSink {
    Tile& tile;
    int b;

    QUANT_INLINE void scale(int k, F v) {
      S::store(tile.scale[b * (Format::kValues / Format::kSubBlock) + k], v);
    }
    QUANT_INLINE void minimum(int k, F v) {
      S::store(tile.minimum[b * (Format::kValues / Format::kSubBlock) + k], v);
    }
    QUANT_INLINE void codes(int i, I v) {
      if constexpr (!WithOffset && Format::kOffset > 0)
        v = S::sub_bytes(v, Words<S>::all_bytes(Format::kOffset));
      S::store_i32(tile.codes[b * (Format::kValues / 4) + i], v);
    }
  };
  template <bool WithOffset>
  static void unpack(const uint8_t* packed, int n, Tile& tile) {
    for (int b = 0; b < blocks_of(n); ++b) {
      TileSink<WithOffset> sink{tile, b};
      Format::unpack(packed, n, b, sink);
    }
  }
  template <int Index>
  static void decode_byte(typename S::I32x16 codes, const Tile& tile, int sub, float* out) {
    const auto code = S::to_float(S::template signed_byte<Index>(codes));
    const auto scale = S::load(tile.scale[sub]);
    if constexpr (Format::kHasMinimum) {
      S::store(out, S::fma(code, scale, S::load(tile.minimum[sub])));
    } else {
      S::store(out, S::mul(code, scale));
    }
  }
};

}  // namespace quant
