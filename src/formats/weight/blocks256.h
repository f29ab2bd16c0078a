// Q2_K … Q6_K, IQ4_XS: super-blocks of 256 values, sub-blocks of 16 or 32 with quantized scales.
// Layouts: ggml's block_q2_K, … (ggml-common.h).
#pragma once

#include "formats/weight/blocks32.h"
#include "formats/weight/nibbles.h"
#include "formats/weight/weight_format.h"

namespace quant {

template <class S, TensorType Type, int Bytes, int SubBlock, bool HasMinimum>
struct Block256 : Nibbles<S> {
  static constexpr TensorType kType = Type;
  static constexpr int kValues = 256;
  static constexpr int kBytes = Bytes;
  static constexpr int kSubBlock = SubBlock;
  static constexpr bool kHasMinimum = HasMinimum;
};

/// {16 bytes of 4-bit scales and minimums, 64 bytes of 2-bit codes, fp16 scale, fp16 minimum}. Each
/// 32 bytes of codes hold four runs of 32 values, one in every pair of bits.
template <class S>
struct WeightQ2K : Block256<S, TensorType::kQ2_K, 84, 16, true> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float* minimum) {
    const float d = N::half_at(block + 80);
    const float dmin = N::half_at(block + 82);
    for (int i = 0; i < 16; ++i) {
      scale[i] = d * static_cast<float>(block[i] & 15);
      minimum[i] = -(dmin * static_cast<float>(block[i] >> 4));
    }
    for (int part = 0; part < 4; ++part) {
      // Bytes 16·part of the codes: columns 128·(part / 2) + 16·(part % 2) of each run.
      const auto bytes = S::load_u8(block + 16 + 16 * part);
      int8_t* out = codes + 128 * (part / 2) + 16 * (part % 2);
      S::store_u8(out, N::template two_bits<0>(bytes));
      S::store_u8(out + 32, N::template two_bits<2>(bytes));
      S::store_u8(out + 64, N::template two_bits<4>(bytes));
      S::store_u8(out + 96, N::template two_bits<6>(bytes));
    }
  }
};

/// {32 bytes of third bits, 64 bytes of 2-bit codes as in Q2_K, 12 bytes of 6-bit scales, fp16
/// scale}. Bit r of third-bit byte i belongs to run r, column i; a code is q - 4.
template <class S>
struct WeightQ3K : Block256<S, TensorType::kQ3_K, 110, 16, false> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float*) {
    decode_scales(block + 96, N::half_at(block + 108), scale);
    for (int column = 0; column < 2; ++column) {
      const auto third = S::load_u8(block + 16 * column);
      const auto first = S::load_u8(block + 32 + 16 * column);
      const auto second = S::load_u8(block + 64 + 16 * column);
      int8_t* out = codes + 16 * column;
      S::store_u8(out, code<0, 0>(first, third));
      S::store_u8(out + 32, code<2, 1>(first, third));
      S::store_u8(out + 64, code<4, 2>(first, third));
      S::store_u8(out + 96, code<6, 3>(first, third));
      S::store_u8(out + 128, code<0, 4>(second, third));
      S::store_u8(out + 160, code<2, 5>(second, third));
      S::store_u8(out + 192, code<4, 6>(second, third));
      S::store_u8(out + 224, code<6, 7>(second, third));
    }
  }

 private:
  template <int Shift, int Run>
  static typename S::U8x16 code(typename S::U8x16 low, typename S::U8x16 third) {
    const auto q = S::or_u8(N::template two_bits<Shift>(low), N::template one_bit<Run, 2>(third));
    return S::sub_u8(q, S::set1_u8(4));
  }
  /// Sixteen scales less 32: low nibbles in bytes 0 to 7 (low halves first), top pairs in 8 to 11.
  static void decode_scales(const uint8_t* packed, float d, float* scale) {
    for (int i = 0; i < 16; ++i) {
      const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
      const int top = (packed[8 + i % 4] >> (2 * (i / 4))) & 3;
      scale[i] = d * static_cast<float>((low | (top << 4)) - 32);
    }
  }
};

/// Scales and minimums that Q4_K and Q5_K share: {fp16 scale, fp16 minimum, 12 bytes}.
template <class S>
struct KScales {
  static void decode(const uint8_t* block, float* scale, float* minimum) {
    const float d = Nibbles<S>::half_at(block);
    const float dmin = Nibbles<S>::half_at(block + 2);
    uint8_t scales[8];
    uint8_t minimums[8];
    unpack_k_scales(block + 4, scales, minimums);
    for (int i = 0; i < 8; ++i) {
      scale[i] = d * static_cast<float>(scales[i]);
      minimum[i] = -(dmin * static_cast<float>(minimums[i]));
    }
  }
};

/// {scales, 128 bytes}: each 32 bytes hold 32 values in their low nibbles, 32 in their high ones.
template <class S>
struct WeightQ4K : Block256<S, TensorType::kQ4_K, 144, 32, true> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float* minimum) {
    KScales<S>::decode(block, scale, minimum);
    for (int part = 0; part < 8; ++part) {
      const auto bytes = S::load_u8(block + 16 + 16 * part);
      int8_t* out = codes + 64 * (part / 2) + 16 * (part % 2);
      S::store_u8(out, N::low(bytes));
      S::store_u8(out + 32, N::high(bytes));
    }
  }
};

/// {scales, 32 bytes of fifth bits, 128 bytes as in Q4_K}. Bit r of fifth-bit byte i belongs to
/// sub-block r, column i.
template <class S>
struct WeightQ5K : Block256<S, TensorType::kQ5_K, 176, 32, true> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float* minimum) {
    KScales<S>::decode(block, scale, minimum);
    for (int column = 0; column < 2; ++column) {
      const auto fifth = S::load_u8(block + 16 + 16 * column);
      const uint8_t* low = block + 48 + 16 * column;
      int8_t* out = codes + 16 * column;
      pair<0>(S::load_u8(low), fifth, out);
      pair<2>(S::load_u8(low + 32), fifth, out + 64);
      pair<4>(S::load_u8(low + 64), fifth, out + 128);
      pair<6>(S::load_u8(low + 96), fifth, out + 192);
    }
  }

 private:
  template <int Run>
  static void pair(typename S::U8x16 bytes, typename S::U8x16 fifth, int8_t* out) {
    S::store_u8(out, S::or_u8(N::low(bytes), N::template one_bit<Run, 4>(fifth)));
    S::store_u8(out + 32, S::or_u8(N::high(bytes), N::template one_bit<Run + 1, 4>(fifth)));
  }
};

/// {128 bytes of low nibbles, 64 bytes of top pairs, 16 int8 scales, fp16 scale}. Each 64 low bytes
/// and 32 top bytes make 128 values: runs of 32 in the low, low, high, high nibbles of the two
/// halves, with the top pair that counts up. A code is q - 32.
template <class S>
struct WeightQ6K : Block256<S, TensorType::kQ6_K, 210, 16, false> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float*) {
    const float d = N::half_at(block + 208);
    for (int i = 0; i < 16; ++i) {
      scale[i] = d * static_cast<float>(static_cast<int8_t>(block[192 + i]));
    }
    for (int part = 0; part < 4; ++part) {
      const uint8_t* low = block + 64 * (part / 2) + 16 * (part % 2);
      const auto first = S::load_u8(low);
      const auto second = S::load_u8(low + 32);
      const auto top = S::load_u8(block + 128 + 16 * part);
      int8_t* out = codes + 128 * (part / 2) + 16 * (part % 2);
      S::store_u8(out, code<0>(N::low(first), top));
      S::store_u8(out + 32, code<2>(N::low(second), top));
      S::store_u8(out + 64, code<4>(N::high(first), top));
      S::store_u8(out + 96, code<6>(N::high(second), top));
    }
  }

 private:
  template <int Shift>
  static typename S::U8x16 code(typename S::U8x16 nibble, typename S::U8x16 top) {
    const auto pair = S::template shift_left_u8<4>(N::template two_bits<Shift>(top));
    return S::sub_u8(S::or_u8(nibble, pair), S::set1_u8(32));
  }
};

/// {fp16 scale, 16 top pairs of scales, 4 bytes of their low nibbles, 128 bytes}: eight sub-blocks
/// laid out like IQ4_NL's block, scales less 32.
template <class S>
struct WeightIq4Xs : Block256<S, TensorType::kIQ4_XS, 136, 32, false> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float*) {
    const float d = N::half_at(block);
    uint16_t tops;
    memcpy(&tops, block + 2, sizeof tops);
    const auto levels = Iq4Levels<S>::table();
    for (int i = 0; i < 8; ++i) {
      const int low = (block[4 + i / 2] >> (4 * (i % 2))) & 15;
      scale[i] = d * static_cast<float>((low | (((tops >> (2 * i)) & 3) << 4)) - 32);
      const auto bytes = S::load_u8(block + 8 + 16 * i);
      S::store_u8(codes + 32 * i, S::lookup_u8(levels, N::low(bytes)));
      S::store_u8(codes + 32 * i + 16, S::lookup_u8(levels, N::high(bytes)));
    }
  }
};

}  // namespace quant
