// Codes as a little-endian bit string; S::unpack reads them back.
#pragma once

#include <stdint.h>
#include <string.h>

namespace quant {

/// Writes sixteen codes of Bits bits: code i becomes bits [Bits·i, Bits·(i + 1)) of 2·Bits bytes.
template <class S, int Bits>
void pack_bits(typename S::I32x16 codes, uint8_t* out) {
  int32_t lane[16];
  S::store_i32(lane, codes);
  for (int half = 0; half < 2; ++half) {
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) {
      word |= static_cast<uint64_t>(static_cast<uint32_t>(lane[8 * half + i])) << (Bits * i);
    }
    memcpy(out + half * Bits, &word, Bits);
  }
}

}  // namespace quant
