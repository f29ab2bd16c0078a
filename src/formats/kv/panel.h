// Where the parts of packed rows with integer codes lie in the cache: 32 positions together.
//
// What takes n bytes of a row takes 32·n bytes of a panel, at 32 times its offset in the row: no
// more bytes than the rows have, and every part is a whole number of cache lines. A half float of a
// header is there for one row after the other; how codes lie differs between keys (key_panel.h) and
// values (value_panel.h), so that neither has to be transposed.
#pragma once

#include "base/inline.h"
#include "formats/kv/kv_format.h"
#include "formats/kv/row.h"

namespace quant {

/// A Format says kBits, kBlock (values in a block, 0 if a row is one), kHeader (bytes before the
/// codes of a block: an fp16 scale, perhaps an fp16 minimum),
///   value(code, scale, minimum): what a code stands for in FP32, but for a gain;
///   zero(scale, minimum), where blocks have a minimum: what an int8 code of 0 stands for.
template <class S, class Format>
struct KvPanel {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  static constexpr int kBits = Format::kBits;
  static constexpr int kHeader = Format::kHeader;
  static constexpr int kBlock = Format::kBlock;
  static constexpr bool kHasMinimum = kHeader == 4;

  /// Values in a block; the last one of a row may have fewer.
  static constexpr int block(int d) { return kBlock == 0 || d < kBlock ? d : kBlock; }
  /// The block that coordinate j belongs to.
  static constexpr int block_of(int j) {
    if constexpr (kBlock == 0)
      return 0;
    else
      return j / kBlock;
  }

  /// Sixteen rows: the first or the second half of a panel.
  struct Rows {
    const uint8_t* panel;
    int half;
  };
  /// Rows [i, i + 16) of contiguous panels; i is a multiple of 16.
  static QUANT_INLINE Rows rows_at(const uint8_t* panels, int d, int i) {
    return {panels + panel_offset(d, i), i % kKvPanelRows / 16};
  }
  /// What the headers of block b say of sixteen rows.
  static QUANT_INLINE F scale(Rows rows, int b) { return header(rows, block_offset(b)); }
  static QUANT_INLINE F minimum(Rows rows, int b) requires(kHasMinimum) {
    return header(rows, block_offset(b) + 2);
  }

  /// Multiplies the first `lanes` of sixteen entries of each list x[h], x_stride apart, by the
  /// rows' gains.
  static void multiply_by_gains(Rows rows, int lanes, int n_lists, float* x, size_t x_stride) {
    const F gains = scale(rows, 0);
    alignas(64) float gain[16];
    S::store(gain, gains);
    for (int h = 0; h < n_lists; ++h, x += x_stride) {
      if (lanes == 16) {
        S::store(x, S::mul(S::load(x), gains));
      } else {
        for (int r = 0; r < lanes; ++r) x[r] *= gain[r];
      }
    }
  }

 protected:
  /// Where the panel of row `slot` begins in contiguous panels.
  static size_t panel_offset(int d, int64_t slot) {
    return static_cast<size_t>(slot / kKvPanelRows * kKvPanelRows) * Format::row_bytes(d);
  }
  /// Where the codes of coordinates from j on begin in a row.
  static size_t codes_offset(int j) {
    const int b = block_of(j);
    return block_offset(b) + kHeader + static_cast<size_t>((j - b * kBlock) * kBits / 8);
  }
  /// The codes that share bytes: v[k] has in each byte the Bits bits above those of v[k - 1].
  template <int Bits>
  static QUANT_INLINE void split_bytes(I bytes, I* v) {
    v[0] = S::template byte_bits<0, Bits, 0>(bytes);
    if constexpr (Bits == 4) {
      v[1] = S::template byte_bits<4, 4, 0>(bytes);
    } else {
      static_assert(Bits == 2);
      v[1] = S::template byte_bits<2, 2, 0>(bytes);
      v[2] = S::template byte_bits<4, 2, 0>(bytes);
      v[3] = S::template byte_bits<6, 2, 0>(bytes);
    }
  }
  /// visit.operator()<Byte>(k) for the four bytes of four vectors.
  template <class Visit>
  static QUANT_INLINE void for_bytes(const Visit& visit) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      visit.template operator()<0>(k);
      visit.template operator()<1>(k);
      visit.template operator()<2>(k);
      visit.template operator()<3>(k);
    }
  }
  /// Calls visit(offset in a row, offset in panels) for each half float of row `slot`.
  template <class Visit>
  static QUANT_INLINE void for_headers(int d, int64_t slot, const Visit& visit) {
    const size_t at = panel_offset(d, slot) + static_cast<size_t>(slot % kKvPanelRows) * 2;
    for (int b = 0; b * block(d) < d; ++b) {
      for (size_t i = 0; i < kHeader; i += 2) {
        const size_t offset = block_offset(b) + i;
        visit(offset, at + kKvPanelRows * offset);
      }
    }
  }

 private:
  static size_t block_offset(int b) {
    return static_cast<size_t>(b) * static_cast<size_t>(kHeader + kBlock * kBits / 8);
  }
  static QUANT_INLINE F header(Rows rows, size_t offset) {
    const uint8_t* p = rows.panel + kKvPanelRows * offset + 16 * 2 * rows.half;
    return S::load_half(reinterpret_cast<const uint16_t*>(p));
  }
};

}  // namespace quant
