// Sixteen stored rows as codes and scales, one row a lane: what exact and fast products start from.
#pragma once

#include <string.h>

#include "formats/weight/weight_format.h"

namespace quant {

/// Columns that are decoded at a time: a tile of FP32 weights is then 16 KiB and stays in the L1
/// cache while all inputs pass over it.
static constexpr int kTileColumns = 256;

/// Value k of row r is scale[k / SubBlock][r]·code + minimum[k / SubBlock][r], its int8 code being
/// byte k % 4 of codes[k / 4][r]. Formats without minimums leave theirs untouched.
template <int SubBlock>
struct CodeTile {
  alignas(64) int32_t codes[kTileColumns / 4][kPanelRows];
  alignas(64) float scale[kTileColumns / SubBlock][kPanelRows];
  alignas(64) float minimum[kTileColumns / SubBlock][kPanelRows];
};

/// What formats share: operations on the same word of sixteen rows.
template <class S>
struct Words {
  using I = typename S::I32x16;
  using F = typename S::F32x16;

  static I at(const int32_t (&word)[kPanelRows]) { return S::load_i32(word); }
  static I low_nibbles(I v) { return S::template byte_bits<0, 4, 0>(v); }
  static I high_nibbles(I v) { return S::template byte_bits<4, 4, 0>(v); }
  static I all_bytes(int x) { return S::set1_i32(x * 0x01010101); }

  /// The four signed bytes of each lane times `factor`, as floats: out[0] to out[3].
  static void scaled_bytes(I bytes, F factor, float (*out)[kPanelRows]) {
    S::store(out[0], S::mul(factor, S::to_float(S::template signed_byte<0>(bytes))));
    S::store(out[1], S::mul(factor, S::to_float(S::template signed_byte<1>(bytes))));
    S::store(out[2], S::mul(factor, S::to_float(S::template signed_byte<2>(bytes))));
    S::store(out[3], S::mul(factor, S::to_float(S::template signed_byte<3>(bytes))));
  }
};

/// Reads tiles of one format, which has
///   load_words(blocks, g): words [16g, 16g + 16) of a row's blocks of a tile, for groups(n) of g,
///     then load_tail(blocks) if kHasTail;
///   load_header(blocks, n, r, stored): what does not lie in those words;
///   unpack(n, stored, tile), which finds each word of the sixteen rows in stored.words.
/// Scratch is what a product keeps on its stack.
template <class S, class Format>
struct CodePanel {
  using Tile = CodeTile<Format::kSubBlock>;
  struct Scratch {
    typename Format::Stored stored;
    Tile tile;
  };

  /// Columns [begin, begin + n) of n_rows rows; lanes beyond n_rows repeat the last row.
  static void read(const uint8_t* rows, size_t row_bytes, int n_rows, int64_t begin, int n,
                   Scratch& scratch) {
    const int bytes = n / Format::kValues * Format::kBytes;
    const uint8_t* end = rows + static_cast<size_t>(n_rows) * row_bytes;
    const uint8_t* blocks[kPanelRows];
    uint8_t copies[kPanelRows][kTileBytes];
    for (int r = 0; r < kPanelRows; ++r) {
      const int row = r < n_rows ? r : n_rows - 1;
      blocks[r] =
          rows + static_cast<size_t>(row) * row_bytes + begin / Format::kValues * Format::kBytes;
      // The next panel, far enough ahead for memory: sixteen interleaved rows are a pattern that
      // processors do not foresee (Zen 4: one input on 12 MB of Q4_1 takes less than half the
      // time).
      for (int at = 0; at < bytes; at += 64) {
        __builtin_prefetch(blocks[r] + kPanelRows * row_bytes + at, 0, 2);
      }
      // Words are loaded as if the tile were whole, which must not pass the end of the rows.
      if (end - blocks[r] < kTileBytes) {
        memcpy(copies[r], blocks[r], static_cast<size_t>(bytes));
        memset(copies[r] + bytes, 0, static_cast<size_t>(kTileBytes - bytes));
        blocks[r] = copies[r];
      }
    }
    for (int r = 0; r < kPanelRows; ++r) Format::load_header(blocks[r], n, r, scratch.stored);
    for (int g = 0; g < Format::groups(n); ++g) read_words<false>(blocks, g, scratch.stored);
    if constexpr (Format::kHasTail) read_words<true>(blocks, Format::groups(n), scratch.stored);
    Format::unpack(n, scratch.stored, scratch.tile);
  }

  /// The same as FP32: out[k][r].
  static void decode(const uint8_t* rows, size_t row_bytes, int n_rows, int64_t begin, int n,
                     Scratch& scratch, float (*out)[kPanelRows]) {
    read(rows, row_bytes, n_rows, begin, n, scratch);
    for (int k = 0; k < n; k += 4) {
      const auto codes = S::load_i32(scratch.tile.codes[k / 4]);
      const int sub = k / Format::kSubBlock;
      decode_byte<0>(codes, scratch.tile, sub, out[k]);
      decode_byte<1>(codes, scratch.tile, sub, out[k + 1]);
      decode_byte<2>(codes, scratch.tile, sub, out[k + 2]);
      decode_byte<3>(codes, scratch.tile, sub, out[k + 3]);
    }
  }

 private:
  static constexpr int kTileBytes = kTileColumns / Format::kValues * Format::kBytes;

  // Not one loop with a branch for the tail: there GCC 12 at -O2 mixed up the AVX2 registers of the
  // two ways to load sixteen rows.
  template <bool Tail>
  static void read_words(const uint8_t* const (&blocks)[kPanelRows], int g,
                         typename Format::Stored& stored) {
    typename S::I32x16 words[16];
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) {
      if constexpr (Tail) {
        words[r] = Format::load_tail(blocks[r]);
      } else {
        words[r] = Format::load_words(blocks[r], g);
      }
    }
    S::transpose(words);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) S::store_i32(stored.words[16 * g + i], words[i]);
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
