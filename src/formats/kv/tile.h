// Sixteen packed rows as integers, one lane a row: what scores in integers are computed from.
#pragma once

#include "formats/kv/row.h"

#define QUANT_KV_STEP static inline __attribute__((always_inline))

namespace quant {

/// Sixteen rows as codes and scales.
struct KvTile {
  /// [d / 4][16 rows][4 codes], and room for what comes along with the last piece of a row.
  alignas(64) int8_t codes[kKvMaxHeadDim / 4 + 16][64];
  alignas(64) float scale[kKvMaxHeadDim / 16][16];  // [blocks][16 rows]
  alignas(64) float minimum[kKvMaxHeadDim / 16][16];
};

/// Steps that fill_int8 is made of.
template <class S>
struct KvTileSteps {
  using I = typename S::I32x16;
  /// Bytes of a row that fill<Bits> takes. Codes of three bits lie across bytes and are widened
  /// row by row.
  template <int Bits>
  static constexpr int kPieceBytes = Bits == 3 ? 6 : 16;

  /// Sixteen bytes of each of sixteen rows, as four vectors of four bytes a row.
  QUANT_KV_STEP void load_columns(const uint8_t* p, size_t stride, I (&v)[4]) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      v[i] = S::template load_pieces<16>(p + static_cast<size_t>(i) * stride, 4 * stride);
    }
    S::transpose_quads(v);
  }
  /// A piece of sixteen rows as columns of four codes a row; `map` changes codes to values.
  template <int Bits, class Map>
  QUANT_KV_STEP void fill(const uint8_t* p, size_t stride, int8_t* out, const Map& map) {
    I v[4];
    if constexpr (Bits == 3) {
      alignas(64) int8_t codes[16 * 16];
      for (int r = 0; r < 16; ++r) {
        S::store_i8(codes + 16 * r, S::template unpack<3>(p + static_cast<size_t>(r) * stride));
      }
      load_columns(reinterpret_cast<const uint8_t*>(codes), 16, v);
      for (int i = 0; i < 4; ++i) expand<8>(v[i], out + 64 * i, map);
    } else {
      load_columns(p, stride, v);
      for (int i = 0; i < 4; ++i) expand<Bits>(v[i], out + 64 * (8 / Bits) * i, map);
    }
  }
  template <int Bits>
  QUANT_KV_STEP void fill(const uint8_t* p, size_t stride, int8_t* out) {
    fill<Bits>(p, stride, out, Same{});
  }
  /// The codes of Bits bits in a vector of bytes, as 8 / Bits vectors of a code a byte.
  template <int Bits, class Map>
  QUANT_KV_STEP void expand(I bytes, int8_t* out, const Map& map) {
    expand_from<Bits, 0>(bytes, out, map);
  }
  template <int Bits>
  QUANT_KV_STEP void expand(I bytes, int8_t* out) {
    expand<Bits>(bytes, out, Same{});
  }
  /// The half floats at p, p + stride, …; reads 16 bytes at each. Faster than one by one, which
  /// goes through memory.
  QUANT_KV_STEP typename S::F32x16 load_halves(const uint8_t* p, size_t stride) {
    I v[4];
    load_columns(p, stride, v);
    return S::template half_of<0>(v[0]);
  }

 private:
  struct Same {
    inline __attribute__((always_inline)) I operator()(I v) const { return v; }
  };
  template <int Bits, int From, class Map>
  QUANT_KV_STEP void expand_from(I bytes, int8_t* out, const Map& map) {
    if constexpr (From < 8) {
      I codes = bytes;
      if constexpr (Bits < 8) codes = S::template byte_bits<From, Bits, 0>(bytes);
      S::store_i32(reinterpret_cast<int32_t*>(out), map(codes));
      expand_from<Bits, From + Bits>(bytes, out + 64, map);
    }
  }
};

/// Where codes of Bits bits land: byte c of four holds codes c·(8 / Bits) and up.
template <int Bits>
struct KvCodeOrder {
  uint8_t coordinate[16];
};
template <int Bits>
static constexpr KvCodeOrder<Bits> make_kv_code_order() {
  KvCodeOrder<Bits> order{};
  constexpr int kGroups = 8 / Bits;  // codes a byte
  for (int i = 0; i < 16; ++i) {
    const int column = i / 4;
    order.coordinate[i] =
        static_cast<uint8_t>(column / kGroups * 4 * kGroups + column % kGroups + i % 4 * kGroups);
  }
  return order;
}

}  // namespace quant

#undef QUANT_KV_STEP
