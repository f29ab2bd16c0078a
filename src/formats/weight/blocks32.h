// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL: blocks of 32 values with one fp16 scale.
// Layouts: ggml's block_q4_0, block_q4_1, … (ggml-common.h). Value i of the first sixteen is the
// low nibble of byte i, value i + 16 its high nibble.
#pragma once

#include "formats/weight/nibbles.h"
#include "formats/weight/weight_format.h"

namespace quant {

template <class S, TensorType Type, int Bytes, bool HasMinimum>
struct Block32 : Nibbles<S> {
  static constexpr TensorType kType = Type;
  static constexpr int kValues = 32;
  static constexpr int kBytes = Bytes;
  static constexpr int kSubBlock = 32;
  static constexpr bool kHasMinimum = HasMinimum;
};

/// {fp16 scale, 16 bytes}: scale·(q - 8).
template <class S>
struct WeightQ4_0 : Block32<S, TensorType::kQ4_0, 18, false> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float*) {
    *scale = N::half_at(block);
    const auto bytes = S::load_u8(block + 2);
    const auto eight = S::set1_u8(8);
    S::store_u8(codes, S::sub_u8(N::low(bytes), eight));
    S::store_u8(codes + 16, S::sub_u8(N::high(bytes), eight));
  }
};

/// {fp16 scale, fp16 minimum, 16 bytes}: scale·q + minimum.
template <class S>
struct WeightQ4_1 : Block32<S, TensorType::kQ4_1, 20, true> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float* minimum) {
    *scale = N::half_at(block);
    *minimum = N::half_at(block + 2);
    const auto bytes = S::load_u8(block + 4);
    S::store_u8(codes, N::low(bytes));
    S::store_u8(codes + 16, N::high(bytes));
  }
};

/// {fp16 scale, 32 fifth bits, 16 bytes}: scale·(q - 16).
template <class S>
struct WeightQ5_0 : Block32<S, TensorType::kQ5_0, 22, false> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float*) {
    *scale = N::half_at(block);
    uint16_t fifth[2];
    memcpy(fifth, block + 2, sizeof fifth);
    const auto bytes = S::load_u8(block + 6);
    const auto sixteen = S::set1_u8(16);
    S::store_u8(codes, S::sub_u8(S::or_u8(N::low(bytes), N::spread_bits(fifth[0])), sixteen));
    S::store_u8(codes + 16, S::sub_u8(S::or_u8(N::high(bytes), N::spread_bits(fifth[1])), sixteen));
  }
};

/// {fp16 scale, fp16 minimum, 32 fifth bits, 16 bytes}: scale·q + minimum.
template <class S>
struct WeightQ5_1 : Block32<S, TensorType::kQ5_1, 24, true> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float* minimum) {
    *scale = N::half_at(block);
    *minimum = N::half_at(block + 2);
    uint16_t fifth[2];
    memcpy(fifth, block + 4, sizeof fifth);
    const auto bytes = S::load_u8(block + 8);
    S::store_u8(codes, S::or_u8(N::low(bytes), N::spread_bits(fifth[0])));
    S::store_u8(codes + 16, S::or_u8(N::high(bytes), N::spread_bits(fifth[1])));
  }
};

/// {fp16 scale, 32 int8}: scale·q.
template <class S>
struct WeightQ8_0 : Block32<S, TensorType::kQ8_0, 34, false> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float*) {
    *scale = N::half_at(block);
    memcpy(codes, block + 2, 32);
  }
};

/// The 16 levels of IQ4_NL and IQ4_XS (ggml's kvalues_iq4nl).
template <class S>
struct Iq4Levels {
  static typename S::U8x16 table() {
    static constexpr int8_t kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};
    return S::load_u8(reinterpret_cast<const uint8_t*>(kLevels));
  }
};

/// {fp16 scale, 16 bytes}: scale·level[q].
template <class S>
struct WeightIq4Nl : Block32<S, TensorType::kIQ4_NL, 18, false> {
  using N = Nibbles<S>;
  static void decode(const uint8_t* block, int8_t* codes, float* scale, float*) {
    *scale = N::half_at(block);
    const auto bytes = S::load_u8(block + 2);
    const auto levels = Iq4Levels<S>::table();
    S::store_u8(codes, S::lookup_u8(levels, N::low(bytes)));
    S::store_u8(codes + 16, S::lookup_u8(levels, N::high(bytes)));
  }
};

}  // namespace quant
