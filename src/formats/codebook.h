// Lloyd-Max quantizers of the standard normal distribution (Lloyd 1982, Max 1960).
#pragma once

#include <stdint.h>

namespace quant {

/// Centroids in ascending order, unused ones 0, and the boundaries half-way between neighbours.
/// Code n stands for centroid[n]: the number of boundaries below a value is its nearest code.
struct Codebook {
  float centroid[16];
  float boundary[15];
};

/// The positive centroids for 1 to 4 bits; the others mirror them.
static constexpr float kLloydMaxPositive[4][8] = {
    {0.7978845608f},
    {0.4527800346f, 1.5104176085f},
    {0.2450941789f, 0.7560052812f, 1.3439092785f, 2.1519457045f},
    {0.1283950299f, 0.3880482995f, 0.6567591185f, 0.9423404565f, 1.2562311973f, 1.6180463860f,
     2.0690172265f, 2.7325895710f},
};

static constexpr Codebook make_lloyd_max(int bits) {
  const float* positive = kLloydMaxPositive[bits - 1];
  const int half = 1 << (bits - 1);
  Codebook book{};
  for (int i = 0; i < half; ++i) {
    book.centroid[half + i] = positive[i];
    book.centroid[half - 1 - i] = -positive[i];
  }
  for (int i = 0; i + 1 < 2 * half; ++i) {
    book.boundary[i] = 0.5f * (book.centroid[i] + book.centroid[i + 1]);
  }
  return book;
}

template <int Bits>
static constexpr Codebook kLloydMax = make_lloyd_max(Bits);

/// The centroids as multiples of a unit, rounded to int8.
struct CodebookInt8 {
  uint8_t centroid[16];  ///< two's complement
  float unit;
};

static constexpr CodebookInt8 make_lloyd_max_int8(int bits) {
  const Codebook book = make_lloyd_max(bits);
  const int codes = 1 << bits;
  CodebookInt8 rounded{};
  rounded.unit = book.centroid[codes - 1] / 127.0f;
  for (int i = 0; i < codes; ++i) {
    const float x = book.centroid[i] / rounded.unit;
    rounded.centroid[i] = static_cast<uint8_t>(static_cast<int8_t>(x + (x < 0.0f ? -0.5f : 0.5f)));
  }
  return rounded;
}

template <int Bits>
static constexpr CodebookInt8 kLloydMaxInt8 = make_lloyd_max_int8(Bits);

}  // namespace quant
