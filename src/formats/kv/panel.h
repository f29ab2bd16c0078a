// How packed rows with integer codes lie in the cache: 32 positions together, column by column.
//
// A row is cut into columns: each half float of a block's header, then the block's codes, four
// bytes a column, or two where codes have three bits. A panel holds the first column of all its
// rows, then the second, and so on: at the offset that a column has in a row, times 32. Four bytes
// of sixteen rows are then one load with a row in each lane, and every column is a whole number of
// cache lines. A panel takes the bytes of 32 rows, no more.
#pragma once

#include "formats/kv/kv_format.h"
#include "formats/kv/row.h"

#define QUANT_KV_STEP static inline __attribute__((always_inline))

namespace quant {

/// Which coordinate of sixteen each code of KvPanel::codes16 comes from, and the way back.
struct KvCodeOrder {
  uint8_t coordinate[16];
  int32_t code[16];
};
static constexpr KvCodeOrder make_kv_code_order(int bits) {
  KvCodeOrder order{};
  // Codes of three bits lie across bytes; all others are masked where they are.
  const int codes_a_byte = bits == 3 ? 1 : 8 / bits;
  for (int i = 0; i < 16; ++i) {
    const int vector = i / 4;
    const int coordinate =
        vector / codes_a_byte * 4 * codes_a_byte + vector % codes_a_byte + i % 4 * codes_a_byte;
    order.coordinate[i] = static_cast<uint8_t>(coordinate);
    order.code[coordinate] = i;
  }
  return order;
}

/// A Format says kBits, kBlock (values in a block, 0 if a row is one) and kHeader (bytes before the
/// codes of a block: an fp16 scale, perhaps an fp16 minimum).
template <class S, class Format>
struct KvPanel {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  static constexpr int kBits = Format::kBits;
  static constexpr int kHeader = Format::kHeader;
  static constexpr int kBlock = Format::kBlock;
  static constexpr bool kWhole = kBlock == 0;
  static constexpr int kColumn = kBits == 3 ? 2 : 4;
  static constexpr KvCodeOrder kOrder = make_kv_code_order(kBits);

  /// Values in a block; the last one of a row may have fewer.
  static constexpr int block(int d) { return kWhole || d < kBlock ? d : kBlock; }
  /// The block that coordinate j belongs to.
  static constexpr int block_of(int j) {
    if constexpr (kWhole)
      return 0;
    else
      return j / kBlock;
  }

  /// Stores a packed row as row `slot` of contiguous panels.
  static void put(const uint8_t* row, int d, int64_t slot, uint8_t* panels) {
    for_columns(
        d, [&]<int Bytes>(size_t offset) __attribute__((always_inline)) {
          memcpy(place<Bytes>(panels, d, slot, offset), row + offset, Bytes);
        });
  }
  /// Reads it back.
  static void take(const uint8_t* panels, int d, int64_t slot, uint8_t* row) {
    for_columns(
        d, [&]<int Bytes>(size_t offset) __attribute__((always_inline)) {
          memcpy(row + offset, place<Bytes>(panels, d, slot, offset), Bytes);
        });
  }

  /// Sixteen rows: the first or the second half of a panel.
  struct Rows {
    const uint8_t* panel;
    int half;
  };
  /// Rows [i, i + 16) of contiguous panels; i is a multiple of 16.
  QUANT_KV_STEP Rows rows_at(const uint8_t* panels, int d, int i) {
    const int first = i / kKvPanelRows * kKvPanelRows;
    return {panels + static_cast<size_t>(first) * Format::row_bytes(d), (i - first) / 16};
  }
  /// Codes of coordinates [j, j + 16) of sixteen rows, j a multiple of 16: byte i of lane r in v[k]
  /// is that of coordinate j + kOrder.coordinate[4·k + i] of row r.
  QUANT_KV_STEP void codes16(Rows rows, int j, I (&v)[4]) {
    const uint8_t* p = first_codes(rows, j);
    constexpr size_t kNext = kKvPanelRows * kColumn;
    if constexpr (kBits == 8) {
#pragma GCC unroll 4
      for (size_t k = 0; k < 4; ++k) v[k] = S::template load_bytes<64>(p + k * kNext);
    } else if constexpr (kBits == 4) {
#pragma GCC unroll 2
      for (size_t k = 0; k < 2; ++k) {
        const I bytes = S::template load_bytes<64>(p + k * kNext);
        v[2 * k] = S::template byte_bits<0, 4, 0>(bytes);
        v[2 * k + 1] = S::template byte_bits<4, 4, 0>(bytes);
      }
    } else if constexpr (kBits == 3) {
      const I first = S::load_u16(p);
      const I second = S::load_u16(p + kNext);
      const I third = S::load_u16(p + 2 * kNext);
      v[0] = spread3(first);
      v[1] =
          spread3(S::or_i32(S::template shift_i32<-12>(first), S::template shift_i32<4>(second)));
      v[2] = spread3(S::or_i32(S::template shift_i32<-8>(second), S::template shift_i32<8>(third)));
      v[3] = spread3(S::template shift_i32<-4>(third));
    } else {
      static_assert(kBits == 2);
      const I bytes = S::template load_bytes<64>(p);
      v[0] = S::template byte_bits<0, 2, 0>(bytes);
      v[1] = S::template byte_bits<2, 2, 0>(bytes);
      v[2] = S::template byte_bits<4, 2, 0>(bytes);
      v[3] = S::template byte_bits<6, 2, 0>(bytes);
    }
  }
  /// Whether two codes share a byte, and those of 32 coordinates follow each other.
  static constexpr bool kPairs = kBits == 4 && kBlock % 32 == 0;
  /// Codes of coordinates [j, j + 32) of sixteen rows by coordinate, j a multiple of 32: byte r of
  /// lane c in v[k][q] is that of coordinate j + 2·c + k of row 4·q + r.
  QUANT_KV_STEP void columns32(Rows rows, int j, I (&v)[2][4]) requires(kPairs) {
    const uint8_t* p = first_codes(rows, j);
    I bytes[4];
#pragma GCC unroll 4
    for (size_t k = 0; k < 4; ++k) {
      bytes[k] = S::template load_bytes<64>(p + k * kKvPanelRows * kColumn);
    }
    S::transpose_bytes(bytes);
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      v[0][q] = S::template byte_bits<0, 4, 0>(bytes[q]);
      v[1][q] = S::template byte_bits<4, 4, 0>(bytes[q]);
    }
  }
  /// What the headers of block b say of sixteen rows.
  QUANT_KV_STEP F scale(Rows rows, int b) { return header(rows, block_offset(b)); }
  QUANT_KV_STEP F minimum(Rows rows, int b) requires(kHeader == 4) {
    return header(rows, block_offset(b) + 2);
  }

 private:
  /// The first column of codes of coordinates from j on.
  QUANT_KV_STEP const uint8_t* first_codes(Rows rows, int j) {
    const int b = block_of(j);
    const size_t offset =
        block_offset(b) + kHeader + static_cast<size_t>((j - b * kBlock) * kBits / 8);
    return rows.panel + kKvPanelRows * offset + 16 * kColumn * rows.half;
  }
  static size_t block_offset(int b) {
    return static_cast<size_t>(b) * static_cast<size_t>(kHeader + kBlock * kBits / 8);
  }
  QUANT_KV_STEP F header(Rows rows, size_t offset) {
    const uint8_t* p = rows.panel + kKvPanelRows * offset + 16 * 2 * rows.half;
    return S::load_half(reinterpret_cast<const uint16_t*>(p));
  }
  /// Calls visit<bytes>(offset in a row) for every column.
  template <class Visit>
  QUANT_KV_STEP void for_columns(int d, const Visit& visit) {
    size_t offset = 0;
    for (int j = 0; j < d; j += block(d)) {
      for (int i = 0; i < kHeader; i += 2, offset += 2) visit.template operator()<2>(offset);
      const int n = d - j < block(d) ? d - j : block(d);
      const size_t end = offset + static_cast<size_t>(n * kBits / 8);
      for (; offset < end; offset += kColumn) visit.template operator()<kColumn>(offset);
    }
  }
  template <int Bytes, class Byte>
  QUANT_KV_STEP Byte* place(Byte* panels, int d, int64_t slot, size_t offset) {
    const auto first = static_cast<size_t>(slot / kKvPanelRows * kKvPanelRows);
    const auto row = static_cast<size_t>(slot % kKvPanelRows);
    return panels + first * Format::row_bytes(d) + kKvPanelRows * offset + row * Bytes;
  }
  /// Bits [3·i, 3·i + 3) of each lane become its byte i.
  QUANT_KV_STEP I spread3(I v) {
    const auto masked = [](I bits, int32_t mask) __attribute__((always_inline)) {
      return S::and_i32(bits, S::set1_i32(mask));
    };
    const I low = S::or_i32(masked(v, 7), masked(S::template shift_i32<5>(v), 7 << 8));
    const I high = S::or_i32(masked(S::template shift_i32<10>(v), 7 << 16),
                             masked(S::template shift_i32<15>(v), 7 << 24));
    return S::or_i32(low, high);
  }
};

}  // namespace quant

#undef QUANT_KV_STEP
