// How values with integer codes lie in the cache: a lane is a coordinate.
//
// Codes of sixteen coordinates, 32 rows of them, take 64 bytes for each bit. A vector of 64 bytes
// has a coordinate in each lane, and there the codes of 32 / bits rows: row i in byte i % 4, above
// those of the rows 4, 8, … before it. What is masked from a vector are four rows of sixteen
// coordinates, as products of four rows with their weights take them. Codes of three bits are a
// vector of their highest bits behind those of the two others.
#pragma once

#include "base/inline.h"
#include "formats/kv/panel.h"

namespace quant {

template <class S, class Format>
struct KvValuePanel : KvPanel<S, Format> {
  using Base = KvPanel<S, Format>;
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  using typename Base::Rows;
  static constexpr int kBits = Format::kBits;

  /// Stores a packed row as row `slot` of contiguous panels. Reads and writes bytes that belong to
  /// other rows of the panel as well: one thread at a time.
  static void put(const uint8_t* row, int d, int64_t slot, uint8_t* panels) {
    Base::for_headers(d, slot, [&](size_t from, size_t to) { memcpy(panels + to, row + from, 2); });
    const auto i = static_cast<int>(slot % kKvPanelRows);
    for (int j = 0; j < d; j += 16) {
      const size_t offset = Base::codes_offset(j);
      uint8_t* vectors = panels + Base::panel_offset(d, slot) + kKvPanelRows * offset;
      alignas(64) int32_t codes[16];
      S::store_i32(codes, S::template unpack<kBits>(row + offset));
      put_bits<0, kLow>(codes, i, vectors);
      if constexpr (kBits == 3) put_bits<kLow, 1>(codes, i, vectors + kHighAt);
    }
  }
  /// Reads it back.
  static void take(const uint8_t* panels, int d, int64_t slot, uint8_t* row) {
    Base::for_headers(d, slot, [&](size_t to, size_t from) { memcpy(row + to, panels + from, 2); });
    const auto i = static_cast<int>(slot % kKvPanelRows);
    for (int j = 0; j < d; j += 16) {
      const size_t offset = Base::codes_offset(j);
      const uint8_t* vectors = panels + Base::panel_offset(d, slot) + kKvPanelRows * offset;
      alignas(64) int32_t codes[16] = {};
      take_bits<0, kLow>(vectors, i, codes);
      if constexpr (kBits == 3) take_bits<kLow, 1>(vectors + kHighAt, i, codes);
      KvRow<S>::template pack16<kBits>(S::load_i32(codes), row + offset);
    }
  }

  /// Codes of coordinates [j, j + 16) of sixteen rows, j a multiple of 16: byte r of lane c in v[q]
  /// is that of coordinate j + c of row 4·q + r.
  static QUANT_INLINE void codes16(Rows rows, int j, I (&v)[4]) {
    const uint8_t* vectors = rows.panel + kKvPanelRows * Base::codes_offset(j);
    const uint8_t* p = vectors + 32 * kLow * rows.half;
    if constexpr (kBits == 8) {
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) v[q] = S::template load_bytes<64>(p + 64 * q);
    } else if constexpr (kBits == 4) {
#pragma GCC unroll 2
      for (int k = 0; k < 2; ++k) {
        Base::template split_bytes<4>(S::template load_bytes<64>(p + 64 * k), v + 2 * k);
      }
    } else {
      Base::template split_bytes<2>(S::template load_bytes<64>(p), v);
      if constexpr (kBits == 3) {
        I high = S::template load_bytes<64>(vectors + kHighAt);
        if (rows.half > 0) high = S::template shift_i32<-4>(high);
        v[0] = S::or_i32(v[0], S::template byte_bits<0, 1, 2>(high));
        v[1] = S::or_i32(v[1], S::template byte_bits<1, 1, 2>(high));
        v[2] = S::or_i32(v[2], S::template byte_bits<2, 1, 2>(high));
        v[3] = S::or_i32(v[3], S::template byte_bits<3, 1, 2>(high));
      }
    }
  }
  /// The same in FP32, but for gains: value[r] = coordinates [j, j + 16) of row r.
  static QUANT_INLINE void values16(Rows rows, int j, F (&value)[16]) {
    alignas(64) float scale[16] = {};
    alignas(64) float minimum[16] = {};
    const int b = Base::block_of(j);
    if constexpr (!KvWithGain<Format>) S::store(scale, Base::scale(rows, b));
    if constexpr (Base::kHasMinimum) S::store(minimum, Base::minimum(rows, b));
    I v[4];
    codes16(rows, j, v);
    Base::for_bytes([&]<int Byte>(int q) __attribute__((always_inline)) {
      const int r = 4 * q + Byte;
      value[r] = Format::value(S::template signed_byte<Byte>(v[q]), S::set1(scale[r]),
                               S::set1(minimum[r]));
    });
  }

 private:
  /// Bits of a code in the vectors that come first, and where a third one's vector lies.
  static constexpr int kLow = kBits == 3 ? 2 : kBits;
  static constexpr int kHighAt = 64 * kLow;

  /// Where a row's Bits bits are: in which vector, and how far to the left in a lane.
  template <int Bits>
  static constexpr int vector_of(int row) {
    return row / (32 / Bits);
  }
  template <int Bits>
  static constexpr int shift_of(int row) {
    return row % 4 * 8 + row % (32 / Bits) / 4 * Bits;
  }
  /// Bits [First, First + Bits) of sixteen codes.
  template <int First, int Bits>
  static void put_bits(const int32_t (&codes)[16], int row, uint8_t* vectors) {
    constexpr uint32_t kMask = (1u << Bits) - 1u;
    const int shift = shift_of<Bits>(row);
    uint32_t lane[16];
    memcpy(lane, vectors + 64 * vector_of<Bits>(row), sizeof lane);
    for (int c = 0; c < 16; ++c) {
      const uint32_t bits = static_cast<uint32_t>(codes[c]) >> First & kMask;
      lane[c] = (lane[c] & ~(kMask << shift)) | bits << shift;
    }
    memcpy(vectors + 64 * vector_of<Bits>(row), lane, sizeof lane);
  }
  template <int First, int Bits>
  static void take_bits(const uint8_t* vectors, int row, int32_t (&codes)[16]) {
    constexpr uint32_t kMask = (1u << Bits) - 1u;
    uint32_t lane[16];
    memcpy(lane, vectors + 64 * vector_of<Bits>(row), sizeof lane);
    for (int c = 0; c < 16; ++c) {
      const uint32_t bits = lane[c] >> shift_of<Bits>(row) & kMask;
      codes[c] |= static_cast<int32_t>(bits << First);
    }
  }
};

}  // namespace quant
