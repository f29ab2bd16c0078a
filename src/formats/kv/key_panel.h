// How keys with integer codes lie in the cache: a lane is a row.
//
// Codes are cut into columns of four bytes, or two where codes have three bits. A panel holds the
// first column of all its rows, then the second, and so on: four bytes of sixteen rows are one
// load, and a product of four coordinates adds to the scores of sixteen rows.
#pragma once

#include "base/inline.h"
#include "formats/kv/panel.h"

namespace quant {

/// Which coordinate of sixteen each code of KvKeyPanel::codes16 comes from.
struct KvCodeOrder {
  uint8_t coordinate[16];
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
  }
  return order;
}

template <class S, class Format>
struct KvKeyPanel : KvPanel<S, Format> {
  using Base = KvPanel<S, Format>;
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  using typename Base::Rows;
  static constexpr int kBits = Format::kBits;
  static constexpr int kColumn = kBits == 3 ? 2 : 4;
  static constexpr KvCodeOrder kOrder = make_kv_code_order(kBits);

  /// Stores a packed row as row `slot` of contiguous panels.
  static void put(const uint8_t* row, int d, int64_t slot, uint8_t* panels) {
    Base::for_headers(d, slot, [&](size_t from, size_t to) { memcpy(panels + to, row + from, 2); });
    for_columns(d, slot, [&](size_t from, size_t to) { memcpy(panels + to, row + from, kColumn); });
  }
  /// Reads it back.
  static void take(const uint8_t* panels, int d, int64_t slot, uint8_t* row) {
    Base::for_headers(d, slot, [&](size_t to, size_t from) { memcpy(row + to, panels + from, 2); });
    for_columns(d, slot, [&](size_t to, size_t from) { memcpy(row + to, panels + from, kColumn); });
  }

  /// Codes of coordinates [j, j + 16) of sixteen rows, j a multiple of 16: byte i of lane r in v[k]
  /// is that of coordinate j + kOrder.coordinate[4·k + i] of row r.
  static QUANT_INLINE void codes16(Rows rows, int j, I (&v)[4]) {
    const uint8_t* p = rows.panel + kKvPanelRows * Base::codes_offset(j) + 16 * kColumn * rows.half;
    constexpr size_t kNext = kKvPanelRows * kColumn;
    if constexpr (kBits == 8) {
#pragma GCC unroll 4
      for (size_t k = 0; k < 4; ++k) v[k] = S::template load_bytes<64>(p + k * kNext);
    } else if constexpr (kBits == 4) {
#pragma GCC unroll 2
      for (size_t k = 0; k < 2; ++k) {
        Base::template split_bytes<4>(S::template load_bytes<64>(p + k * kNext), v + 2 * k);
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
      Base::template split_bytes<2>(S::template load_bytes<64>(p), v);
    }
  }
  /// value[l] = coordinate j + l of sixteen rows in FP32, but for gains.
  static QUANT_INLINE void values16(Rows rows, int j, F (&value)[16]) {
    I v[4];
    codes16(rows, j, v);
    F scale = S::zero();
    F minimum = S::zero();
    const int b = Base::block_of(j);
    if constexpr (!KvWithGain<Format>) scale = Base::scale(rows, b);
    if constexpr (Base::kHasMinimum) minimum = Base::minimum(rows, b);
    Base::for_bytes([&]<int Byte>(int k) __attribute__((always_inline)) {
      const I code = S::template signed_byte<Byte>(v[k]);
      value[kOrder.coordinate[4 * k + Byte]] = Format::value(code, scale, minimum);
    });
  }

 private:
  /// Calls visit(offset in a row, offset in panels) for each column of codes of row `slot`.
  template <class Visit>
  static QUANT_INLINE void for_columns(int d, int64_t slot, const Visit& visit) {
    const size_t at =
        Base::panel_offset(d, slot) + static_cast<size_t>(slot % kKvPanelRows) * kColumn;
    for (int j = 0; j < d; j += 16) {
      const size_t first = Base::codes_offset(j);
      for (size_t i = 0; i < 2 * kBits; i += kColumn) {
        visit(first + i, at + kKvPanelRows * (first + i));
      }
    }
  }
  /// Bits [3·i, 3·i + 3) of each lane become its byte i.
  static QUANT_INLINE I spread3(I v) {
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
