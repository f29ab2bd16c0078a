// Q2_K … Q6_K, IQ4_XS: super-blocks of 256 values, sub-blocks of 16 or 32 with quantized scales.
// Layouts: ggml's block_q2_K, … (ggml-common.h). A word below is four bytes of a block, in all
// sixteen rows; four neighbouring codes of a row lie in one word in every format.
#pragma once

#include "base/inline.h"
#include "formats/weight/blocks32.h"
#include "formats/weight/code_tile.h"

namespace quant {

/// A tile is one block of each row. A packed one is [words of a block][16], the last word padded
/// with zeros. A format adds unpack_words(words, sink), which hands over scales last: few vectors
/// are open at a time then.
template <class S, class Format, int Bytes, int SubBlock, bool HasMinimum>
struct Block256 {
  static constexpr int kValues = 256;
  static constexpr int kBytes = Bytes;
  static constexpr int kSubBlock = SubBlock;
  static constexpr bool kHasMinimum = HasMinimum;
  static constexpr int kOffset = 0;

  static constexpr size_t tile_bytes(int) { return (Bytes + 3) / 4 * 4 * kPanelRows; }
  static void pack_row(const uint8_t* block, int, int lane, uint8_t* tile) {
    for (int at = 0; at < Bytes; at += 4) {
      memcpy(tile + at * kPanelRows + 4 * lane, block + at, Bytes - at < 4 ? Bytes - at : 4);
    }
  }
  template <class Sink>
  static QUANT_INLINE void unpack(const uint8_t* tile, int, int, Sink& sink) {
    Format::unpack_words(reinterpret_cast<PackedWords>(tile), sink);
  }
};

/// {16 bytes of 4-bit scales and minimums, 64 bytes of 2-bit codes, fp16 scale, fp16 minimum}. Each
/// 32 bytes of codes hold four runs of 32 values, one in every pair of bits.
template <class S>
struct WeightQ2K : Block256<S, WeightQ2K<S>, 84, 16, true> {
  static constexpr TensorType kType = TensorType::kQ2_K;
  static constexpr int kMostCode = 3;
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack_words(PackedWords words, Sink& sink) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const auto word = W::at(words[4 + i]);
      const int first = 32 * (i / 8) + i % 8;
      sink.codes(first, S::template byte_bits<0, 2, 0>(word));
      sink.codes(first + 8, S::template byte_bits<2, 2, 0>(word));
      sink.codes(first + 16, S::template byte_bits<4, 2, 0>(word));
      sink.codes(first + 24, S::template byte_bits<6, 2, 0>(word));
    }
    const auto halves = W::at(words[20]);
    const auto d = S::template half_of<0>(halves);
    const auto dmin = S::sub(S::zero(), S::template half_of<1>(halves));
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto word = W::at(words[i]);
      W::scales(W::low_nibbles(word), d, 4 * i, sink);
      W::minimums(W::high_nibbles(word), dmin, 4 * i, sink);
    }
  }
};

/// {32 bytes of third bits, 64 bytes of 2-bit codes as in Q2_K, 12 bytes of 6-bit scales, fp16
/// scale}. Bit r of third-bit byte i belongs to run r, column i; a code is q - 4.
template <class S>
struct WeightQ3K : Block256<S, WeightQ3K<S>, 110, 16, false> {
  static constexpr TensorType kType = TensorType::kQ3_K;
  static constexpr int kMostCode = 7;
  static constexpr int kOffset = 4;
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack_words(PackedWords words, Sink& sink) {
    unpack_run<0>(words, sink);
    unpack_run<1>(words, sink);
    unpack_run<2>(words, sink);
    unpack_run<3>(words, sink);
    unpack_run<4>(words, sink);
    unpack_run<5>(words, sink);
    unpack_run<6>(words, sink);
    unpack_run<7>(words, sink);
    unpack_scales(words + 24, sink);
  }

 private:
  using I = typename S::I32x16;
  template <int Run, class Sink>
  static QUANT_INLINE void unpack_run(PackedWords words, Sink& sink) {
    const PackedWords pairs = words + 8 + Run / 4 * 8;
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const I low = S::template byte_bits<Run % 4 * 2, 2, 0>(W::at(pairs[i]));
      const I third = S::template byte_bits<Run, 1, 2>(W::at(words[i]));
      sink.codes(8 * Run + i, S::or_i32(low, third));
    }
  }
  /// Sixteen scales less 32: low nibbles in the first two words (low halves first), the top pairs
  /// of four scales in each pair of bits of the third.
  template <class Sink>
  static QUANT_INLINE void unpack_scales(PackedWords words, Sink& sink) {
    const I first = W::at(words[0]);
    const I second = W::at(words[1]);
    const I top = W::at(words[2]);
    const auto d = S::template half_of<0>(W::at(words[3]));
    W::scales(join(W::low_nibbles(first), S::template byte_bits<0, 2, 4>(top)), d, 0, sink);
    W::scales(join(W::low_nibbles(second), S::template byte_bits<2, 2, 4>(top)), d, 4, sink);
    W::scales(join(W::high_nibbles(first), S::template byte_bits<4, 2, 4>(top)), d, 8, sink);
    W::scales(join(W::high_nibbles(second), S::template byte_bits<6, 2, 4>(top)), d, 12, sink);
  }
  static QUANT_INLINE I join(I low, I top) {
    return S::sub_bytes(S::or_i32(low, top), W::all_bytes(32));
  }
};

/// Scales and minimums that Q4_K and Q5_K share: {fp16 scale, fp16 minimum, 12 bytes}. Of the eight
/// 6-bit scales and minimums, the first four are the low bits of bytes 0 to 3 and 4 to 7; the last
/// four have their low nibbles in bytes 8 to 11 and their top pairs above the first four's.
template <class S>
struct KScales {
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack(PackedWords words, Sink& sink) {
    const auto halves = W::at(words[0]);
    const auto d = S::template half_of<0>(halves);
    const auto dmin = S::sub(S::zero(), S::template half_of<1>(halves));
    const auto scales = W::at(words[1]);
    const auto minimums = W::at(words[2]);
    const auto rest = W::at(words[3]);
    W::scales(S::template byte_bits<0, 6, 0>(scales), d, 0, sink);
    W::minimums(S::template byte_bits<0, 6, 0>(minimums), dmin, 0, sink);
    W::scales(S::or_i32(W::low_nibbles(rest), S::template byte_bits<6, 2, 4>(scales)), d, 4, sink);
    W::minimums(S::or_i32(W::high_nibbles(rest), S::template byte_bits<6, 2, 4>(minimums)), dmin, 4,
                sink);
  }
};

/// {scales, 128 bytes}: each 32 bytes hold 32 values in their low nibbles, 32 in their high ones.
template <class S>
struct WeightQ4K : Block256<S, WeightQ4K<S>, 144, 32, true> {
  static constexpr TensorType kType = TensorType::kQ4_K;
  static constexpr int kMostCode = 15;
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack_words(PackedWords words, Sink& sink) {
#pragma GCC unroll 32
    for (int i = 0; i < 32; ++i) {
      const auto word = W::at(words[4 + i]);
      const int first = 16 * (i / 8) + i % 8;
      sink.codes(first, W::low_nibbles(word));
      sink.codes(first + 8, W::high_nibbles(word));
    }
    KScales<S>::unpack(words, sink);
  }
};

/// {scales, 32 bytes of fifth bits, 128 bytes as in Q4_K}. Bit r of fifth-bit byte i belongs to
/// sub-block r, column i.
template <class S>
struct WeightQ5K : Block256<S, WeightQ5K<S>, 176, 32, true> {
  static constexpr TensorType kType = TensorType::kQ5_K;
  static constexpr int kMostCode = 31;
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack_words(PackedWords words, Sink& sink) {
    unpack_pair<0>(words, sink);
    unpack_pair<1>(words, sink);
    unpack_pair<2>(words, sink);
    unpack_pair<3>(words, sink);
    KScales<S>::unpack(words, sink);
  }

 private:
  using I = typename S::I32x16;
  /// Sub-blocks 2·Pair and 2·Pair + 1.
  template <int Pair, class Sink>
  static QUANT_INLINE void unpack_pair(PackedWords words, Sink& sink) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const I fifth = W::at(words[4 + i]);
      const I nibbles = W::at(words[12 + 8 * Pair + i]);
      const I low = S::template byte_bits<2 * Pair, 1, 4>(fifth);
      const I high = S::template byte_bits<2 * Pair + 1, 1, 4>(fifth);
      sink.codes(16 * Pair + i, S::or_i32(W::low_nibbles(nibbles), low));
      sink.codes(16 * Pair + 8 + i, S::or_i32(W::high_nibbles(nibbles), high));
    }
  }
};

/// {128 bytes of low nibbles, 64 bytes of top pairs, 16 int8 scales, fp16 scale}. Each 64 low bytes
/// and 32 top bytes make 128 values: runs of 32 in the low, low, high, high nibbles of the two
/// halves, with the top pair that counts up. A code is q - 32.
template <class S>
struct WeightQ6K : Block256<S, WeightQ6K<S>, 210, 16, false> {
  static constexpr TensorType kType = TensorType::kQ6_K;
  static constexpr int kMostCode = 63;
  static constexpr int kOffset = 32;
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack_words(PackedWords words, Sink& sink) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const int32_t(*low)[kPanelRows] = words + 16 * (i / 8) + i % 8;
      const auto first = W::at(low[0]);
      const auto second = W::at(low[8]);
      const auto top = W::at(words[32 + i]);
      const int column = 32 * (i / 8) + i % 8;
      sink.codes(column, code<0>(W::low_nibbles(first), top));
      sink.codes(column + 8, code<2>(W::low_nibbles(second), top));
      sink.codes(column + 16, code<4>(W::high_nibbles(first), top));
      sink.codes(column + 24, code<6>(W::high_nibbles(second), top));
    }
    const auto d = S::template half_of<0>(W::at(words[52]));
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) W::scales(W::at(words[48 + i]), d, 4 * i, sink);
  }

 private:
  using I = typename S::I32x16;
  template <int Shift>
  static QUANT_INLINE I code(I nibbles, I top) {
    return S::or_i32(nibbles, S::template byte_bits<Shift, 2, 4>(top));
  }
};

/// {fp16 scale, 16 top pairs of scales, 4 bytes of their low nibbles, 128 bytes}: eight sub-blocks
/// laid out like IQ4_NL's block, scales less 32.
template <class S>
struct WeightIq4Xs : Block256<S, WeightIq4Xs<S>, 136, 32, false> {
  static constexpr TensorType kType = TensorType::kIQ4_XS;
  static constexpr int kMostCode = 0;
  using W = Words<S>;
  template <class Sink>
  static QUANT_INLINE void unpack_words(PackedWords words, Sink& sink) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) Iq4Levels<S>::unpack(words + 2 + 4 * i, 8 * i, sink);
    const auto tops = W::at(words[0]);
    const auto nibbles = W::at(words[1]);
    const auto d = S::template half_of<0>(tops);
    four_scales<0>(nibbles, tops, d, sink);
    four_scales<1>(nibbles, tops, d, sink);
  }

 private:
  using I = typename S::I32x16;
  using F = typename S::F32x16;
  template <int Half, class Sink>
  static QUANT_INLINE void four_scales(I nibbles, I tops, F d, Sink& sink) {
    const I low = W::low_nibbles(nibbles);
    const I high = W::high_nibbles(nibbles);
    sink.scale(4 * Half, one_scale<2 * Half, Half, 0>(low, tops, d));
    sink.scale(4 * Half + 1, one_scale<2 * Half, Half, 2>(high, tops, d));
    sink.scale(4 * Half + 2, one_scale<2 * Half + 1, Half, 4>(low, tops, d));
    sink.scale(4 * Half + 3, one_scale<2 * Half + 1, Half, 6>(high, tops, d));
  }
  /// The low nibble in byte Byte, the top pair at bit Shift of byte 2 + Half.
  template <int Byte, int Half, int Shift>
  static QUANT_INLINE F one_scale(I nibble, I tops, F d) {
    const I low = S::template signed_byte<Byte>(nibble);
    const I top = S::template signed_byte<2 + Half>(S::template byte_bits<Shift, 2, 4>(tops));
    const I code = S::add_i32(S::add_i32(low, top), S::set1_i32(-32));
    return S::mul(d, S::to_float(code));
  }
};

}  // namespace quant
