// Steps that the KV formats share.
#pragma once

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/inline.h"
#include "formats/kv/kv_format.h"

namespace quant {

/// What every format asks of a head_dim.
static constexpr bool is_kv_head_dim(int d) { return d >= 16 && d <= kKvMaxHeadDim && d % 16 == 0; }

/// Formats whose rows have a common factor, and formats whose codes are integers.
template <class Format>
concept KvWithGain = requires(const uint8_t* row) {
  Format::gain(row);
};
template <class Format>
concept KvInPanels = requires {
  Format::kBits;
};

/// Divides n queries evenly into blocks of at most `most`, what registers hold: visit(first,
/// count).
template <class Visit>
static QUANT_INLINE void for_query_blocks(int n, int most, const Visit& visit) {
  const int count = (n + most - 1) / most;
  for (int b = 0; b < count; ++b) {
    const int first = n * b / count;
    visit(first, n * (b + 1) / count - first);
  }
}

/// Divides rows [first, first + n) of a chunk into parts that end at multiples of Rows:
/// visit(i, count), i from 0 on.
template <int Rows, class Visit>
static QUANT_INLINE void for_row_parts(int first, int n, const Visit& visit) {
  for (int i = 0; i < n;) {
    const int left = Rows - (first + i) % Rows;
    const int count = n - i < left ? n - i : left;
    visit(i, count);
    i += count;
  }
}

template <class S>
struct KvRow {
  using F = typename S::F32x16;

  static bool all_finite(const float* x, int n) {
    // A finite number times 0 is 0; an infinity or a NaN makes the sum NaN.
    F zeros = S::zero();
    for (int j = 0; j < n; j += 16) zeros = S::add(zeros, S::mul(S::load(x + j), S::zero()));
    return S::reduce_add(zeros) == 0.0f;
  }

  static float max_magnitude(const float* x, int n) {
    F top = S::zero();
    for (int j = 0; j < n; j += 16) top = S::max(S::abs(S::load(x + j)), top);
    return S::reduce_max(top);
  }

  /// Stores a number as fp16; false if it is not finite there.
  static bool put_half(uint8_t* out, float value) {
    const uint16_t half = S::to_half(value);
    memcpy(out, &half, sizeof half);
    return (half & 0x7c00) != 0x7c00;
  }
  static float get_half(const uint8_t* p) {
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return S::half(half);
  }

  /// Encodes a row in blocks of Format::kBlock values, the last one shorter where d ends, by
  /// Format::encode_block(x, n, out); the blocks lie Format::kBlockBytes apart. False if a value is
  /// not finite or a block refuses.
  template <class Format>
  static bool encode_blocks(const float* row, int d, uint8_t* out) {
    if (!all_finite(row, d)) return false;
    for (int j = 0; j < d; j += Format::kBlock, out += Format::kBlockBytes) {
      const int n = d - j < Format::kBlock ? d - j : Format::kBlock;
      if (!Format::encode_block(row + j, n, out)) return false;
    }
    return true;
  }

  /// Writes sixteen codes as the bit string that S::unpack<Bits> reads.
  template <int Bits>
  static void pack16(typename S::I32x16 codes, uint8_t* out) {
    int32_t code[16];
    S::store_i32(code, codes);
    for (int half = 0; half < 2; ++half) {
      uint64_t word = 0;
      for (int i = 0; i < 8; ++i) {
        word |= static_cast<uint64_t>(code[half * 8 + i]) << (Bits * i);
      }
      memcpy(out + half * Bits, &word, Bits);
    }
  }
};

}  // namespace quant
