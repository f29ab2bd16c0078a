// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL: blocks of 32 values with one fp16 scale.
// Layouts: ggml's block_q4_0, block_q4_1, … (ggml-common.h). Value i of the first sixteen is the
// low nibble of byte i, value i + 16 its high nibble.
#pragma once

#include "base/inline.h"
#include "formats/weight/code_tile.h"

namespace quant {

/// {fp16 scale, fp16 minimum if HasMinimum, 32 fifth bits if FifthBitsAt > 0, codes from CodesAt}.
/// A format adds unpack_codes(words, fifth_bits, sink): the block's words of codes.
///
/// A packed tile is [blocks][16] scales (or pairs of scale and minimum), then [blocks][16] words of
/// fifth bits, then [blocks · words of codes][16].
template <class S, class Format, int Bytes, int CodesAt, bool HasMinimum, int FifthBitsAt = 0>
struct Block32 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = Bytes;
  static constexpr int kSubBlock = 32;
  static constexpr bool kHasMinimum = HasMinimum;
  static constexpr int kOffset = 0;

  static constexpr size_t tile_bytes(int n) {
    return codes_at(n) + static_cast<size_t>(n / kValues * kCodeBytes * kPanelRows);
  }
  static void pack_row(const uint8_t* block, int n, int lane, uint8_t* tile) {
    uint8_t* codes = tile + codes_at(n) + 4 * lane;
    for (int b = 0; b < n / kValues; ++b, block += kBytes) {
      const int at = b * kPanelRows + lane;
      memcpy(tile + at * kScaleBytes, block, kScaleBytes);
      if constexpr (FifthBitsAt > 0) {
        memcpy(tile + fifth_bits_at(n) + 4 * at, block + FifthBitsAt, 4);
      }
      for (int w = 0; w < kCodeBytes / 4; ++w, codes += 4 * kPanelRows) {
        memcpy(codes, block + CodesAt + 4 * w, 4);
      }
    }
  }
  template <class Sink>
  static QUANT_INLINE void unpack(const uint8_t* tile, int n, int b, Sink& sink) {
    const auto words = reinterpret_cast<PackedWords>(tile + codes_at(n));
    const auto fifth_bits = reinterpret_cast<PackedWords>(tile + fifth_bits_at(n));
    if constexpr (kHasMinimum) {
      const auto scales = S::load_i32(reinterpret_cast<PackedWords>(tile)[b]);
      sink.scale(0, S::template half_of<0>(scales));
      sink.minimum(0, S::template half_of<1>(scales));
    } else {
      sink.scale(0, S::load_half(reinterpret_cast<const uint16_t*>(tile) + b * kPanelRows));
    }
    Format::unpack_codes(words + b * kCodeBytes / 4, fifth_bits + b, sink);
  }

 private:
  static constexpr int kCodeBytes = Bytes - CodesAt;  // 16 or 32
  static constexpr int kScaleBytes = HasMinimum ? 4 : 2;
  static constexpr size_t fifth_bits_at(int n) {
    return static_cast<size_t>(n / kValues * kPanelRows * kScaleBytes + 63) / 64 * 64;
  }
  static constexpr size_t codes_at(int n) {
    return fifth_bits_at(n) +
           (FifthBitsAt > 0 ? static_cast<size_t>(n / kValues * kPanelRows * 4) : 0);
  }
};

/// Value i is the low nibble of byte i, value i + 16 its high one; nibbles are codes.
template <class S>
struct FourBits {
  static constexpr int kMostCode = 15;
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack_codes(PackedWords words, PackedWords, Sink& sink) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto word = W::at(words[i]);
      sink.codes(i, W::low_nibbles(word));
      sink.codes(4 + i, W::high_nibbles(word));
    }
  }
};

/// scale·(q - 8).
template <class S>
struct WeightQ4_0 : Block32<S, WeightQ4_0<S>, 18, 2, false>, FourBits<S> {
  static constexpr TensorType kType = TensorType::kQ4_0;
  static constexpr int kOffset = 8;
};

/// scale·q + minimum.
template <class S>
struct WeightQ4_1 : Block32<S, WeightQ4_1<S>, 20, 4, true>, FourBits<S> {
  static constexpr TensorType kType = TensorType::kQ4_1;
};

/// Bit i of the 32 fifth bits belongs to value i.
template <class S>
struct FiveBits {
  static constexpr int kMostCode = 31;
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack_codes(PackedWords words, PackedWords fifth_bits, Sink& sink) {
    const auto fifth = W::at(*fifth_bits);
    unpack_word<0>(W::at(words[0]), fifth, sink);
    unpack_word<1>(W::at(words[1]), fifth, sink);
    unpack_word<2>(W::at(words[2]), fifth, sink);
    unpack_word<3>(W::at(words[3]), fifth, sink);
  }

 private:
  using I = typename S::I32x16;
  template <int Index, class Sink>
  static QUANT_INLINE void unpack_word(I word, I fifth, Sink& sink) {
    const I low = S::template bits_to_bytes<4 * Index, 4>(fifth);
    const I high = S::template bits_to_bytes<16 + 4 * Index, 4>(fifth);
    sink.codes(Index, S::or_i32(W::low_nibbles(word), low));
    sink.codes(4 + Index, S::or_i32(W::high_nibbles(word), high));
  }
};

/// scale·(q - 16).
template <class S>
struct WeightQ5_0 : Block32<S, WeightQ5_0<S>, 22, 6, false, 2>, FiveBits<S> {
  static constexpr TensorType kType = TensorType::kQ5_0;
  static constexpr int kOffset = 16;
};

/// scale·q + minimum.
template <class S>
struct WeightQ5_1 : Block32<S, WeightQ5_1<S>, 24, 8, true, 4>, FiveBits<S> {
  static constexpr TensorType kType = TensorType::kQ5_1;
};

/// scale·q; the codes are stored as they are.
template <class S>
struct WeightQ8_0 : Block32<S, WeightQ8_0<S>, 34, 2, false> {
  static constexpr TensorType kType = TensorType::kQ8_0;
  static constexpr int kMostCode = 0;
  template <class Sink>
  static QUANT_INLINE void unpack_codes(PackedWords words, PackedWords, Sink& sink) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) sink.codes(i, S::load_i32(words[i]));
  }
};

/// Codes of IQ4_NL and IQ4_XS: a nibble chooses one of 16 levels (ggml's kvalues_iq4nl).
template <class S>
struct Iq4Levels {
  using W = Words<S>;
  /// Four words of nibbles to words [first, first + 8) of codes.
  template <class Sink>
  static QUANT_INLINE void unpack(PackedWords words, int first, Sink& sink) {
    static constexpr int8_t kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};
    const auto levels = S::load_u8(reinterpret_cast<const uint8_t*>(kLevels));
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto word = W::at(words[i]);
      sink.codes(first + i, S::lookup_bytes(levels, W::low_nibbles(word)));
      sink.codes(first + 4 + i, S::lookup_bytes(levels, W::high_nibbles(word)));
    }
  }
};

/// scale·level[q].
template <class S>
struct WeightIq4Nl : Block32<S, WeightIq4Nl<S>, 18, 2, false> {
  static constexpr TensorType kType = TensorType::kIQ4_NL;
  static constexpr int kMostCode = 0;
  template <class Sink>
  static QUANT_INLINE void unpack_codes(PackedWords words, PackedWords, Sink& sink) {
    Iq4Levels<S>::unpack(words, 0, sink);
  }
};

}  // namespace quant
