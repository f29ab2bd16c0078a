// uniform_2b, uniform_3b, uniform_4b: blocks of 32 values (the last of a row may hold 16), {fp16
// step, fp16 minimum, codes}: 2^Bits equal bins from the minimum up, decoded to their centres.
#pragma once

#include "formats/kv/pack_bits.h"
#include "formats/kv/plain.h"

namespace quant {

template <class S, int Bits>
struct Uniform : OwnBasis<S> {
  static constexpr int kBlock = 32;
  static constexpr size_t kHeaderBytes = 4;
  static constexpr size_t kBlockBytes = kHeaderBytes + kBlock * Bits / 8;
  static constexpr size_t row_bytes(int d) {
    return static_cast<size_t>(d) * Bits / 8 +
           kHeaderBytes * static_cast<size_t>((d + kBlock - 1) / kBlock);
  }

  static bool encode(const float* row, int d, uint8_t* out) {
    if (!OwnBasis<S>::within(row, d, OwnBasis<S>::kHalfOverflow)) return false;
    for (int begin = 0; begin < d; begin += kBlock) {
      const int n = d - begin < kBlock ? d - begin : kBlock;
      encode_block(row + begin, n, out);
      out += kHeaderBytes + static_cast<size_t>(n) * Bits / 8;
    }
    return true;
  }

  static typename S::F32x16 decode16(const uint8_t* row, int, int j) {
    const uint8_t* block = row + static_cast<size_t>(j / kBlock) * kBlockBytes;
    uint16_t header[2];
    memcpy(header, block, kHeaderBytes);
    const auto codes = S::template unpack<Bits>(block + kHeaderBytes + j % kBlock / 8 * Bits);
    const auto centres = S::add(S::to_float(codes), S::set1(0.5f));
    return S::add(S::mul(centres, S::set1(S::half(header[0]))), S::set1(S::half(header[1])));
  }

 private:
  static void encode_block(const float* x, int n, uint8_t* out) {
    auto low = S::load(x);
    auto high = low;
    if (n == kBlock) {
      low = S::min(low, S::load(x + 16));
      high = S::max(high, S::load(x + 16));
    }
    const float minimum = -S::reduce_max(S::sub(S::zero(), low));
    const float step = (S::reduce_max(high) - minimum) / static_cast<float>(1 << Bits);
    // Codes are chosen for the step and minimum that a reader will see.
    const uint16_t header[2] = {S::to_half(step), S::to_half(minimum)};
    memcpy(out, header, kHeaderBytes);
    const float stored_step = S::half(header[0]);
    const auto inverse = S::set1(stored_step > 0.0f ? 1.0f / stored_step : 0.0f);
    const auto offset = S::set1(S::half(header[1]));
    const auto top = S::set1(static_cast<float>((1 << Bits) - 1));
    for (int j = 0; j < n; j += 16) {
      const auto place = S::mul(S::sub(S::load(x + j), offset), inverse);
      // Nearest centre: round(place - 0.5), a tie going to the even code.
      auto code = S::sub(place, S::set1(0.5f));
      code = S::max(S::min(code, top), S::zero());
      pack_bits<S, Bits>(S::to_int(code), out + kHeaderBytes + j / 8 * Bits);
    }
  }
};

template <class S>
struct KvUniform2b : Uniform<S, 2> {
  static constexpr KvType kType = KvType::kUniform2b;
  static constexpr const char* kName = "uniform_2b";
  static constexpr const char* kSummary = "2-bit codes, fp16 step and minimum a block of 32";
};

template <class S>
struct KvUniform3b : Uniform<S, 3> {
  static constexpr KvType kType = KvType::kUniform3b;
  static constexpr const char* kName = "uniform_3b";
  static constexpr const char* kSummary = "3-bit codes, fp16 step and minimum a block of 32";
};

template <class S>
struct KvUniform4b : Uniform<S, 4> {
  static constexpr KvType kType = KvType::kUniform4b;
  static constexpr const char* kName = "uniform_4b";
  static constexpr const char* kSummary = "4-bit codes, fp16 step and minimum a block of 32";
};

}  // namespace quant
