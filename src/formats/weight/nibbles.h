// Pieces that several weight formats share: nibbles, bit planes, and the 6-bit scales of K-quants.
#pragma once

#include <stdint.h>
#include <string.h>

namespace quant {

template <class S>
struct Nibbles {
  using U = typename S::U8x16;

  static float half_at(const uint8_t* p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return S::half(h);
  }
  static U low(U bytes) { return S::and_u8(bytes, S::set1_u8(15)); }
  static U high(U bytes) { return S::template shift_right_u8<4>(bytes); }
  /// Bits [Shift, Shift + 2) of each byte.
  template <int Shift>
  static U two_bits(U bytes) {
    return S::and_u8(S::template shift_right_u8<Shift>(bytes), S::set1_u8(3));
  }
  /// Bit `Bit` of each byte, moved to bit To.
  template <int Bit, int To>
  static U one_bit(U bytes) {
    const U bit = S::and_u8(bytes, S::set1_u8(static_cast<uint8_t>(1u << Bit)));
    if constexpr (Bit >= To) {
      return S::template shift_right_u8<Bit - To>(bit);
    } else {
      return S::template shift_left_u8<To - Bit>(bit);
    }
  }
  /// Sixteen bits, bit i becoming bit 4 of byte i.
  static U spread_bits(uint16_t bits) {
    uint8_t doubled[16];
    for (int i = 0; i < 16; ++i) doubled[i] = static_cast<uint8_t>(((bits >> i) & 1) << 4);
    return S::load_u8(doubled);
  }
};

/// Scales and minimums of the eight sub-blocks of Q4_K and Q5_K: 6 bits each in 12 bytes. The first
/// four of each are bytes' low bits; the last four have 4 bits in bytes 8 to 11 and their top 2
/// bits above the first four's.
static inline void unpack_k_scales(const uint8_t* packed, uint8_t* scale, uint8_t* minimum) {
  uint32_t first;
  uint32_t second;
  uint32_t third;
  memcpy(&first, packed, 4);
  memcpy(&second, packed + 4, 4);
  memcpy(&third, packed + 8, 4);
  const uint32_t scale_low = first & 0x3f3f3f3fu;
  const uint32_t minimum_low = second & 0x3f3f3f3fu;
  const uint32_t scale_high = (third & 0x0f0f0f0fu) | ((first >> 2) & 0x30303030u);
  const uint32_t minimum_high = ((third >> 4) & 0x0f0f0f0fu) | ((second >> 2) & 0x30303030u);
  memcpy(scale, &scale_low, 4);
  memcpy(scale + 4, &scale_high, 4);
  memcpy(minimum, &minimum_low, 4);
  memcpy(minimum + 4, &minimum_high, 4);
}

}  // namespace quant
