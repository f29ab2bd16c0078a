// The one conversion between FP32 and 16-bit floats, over all of their values.
#include "base/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace quant::test {
namespace {

constexpr unsigned kCount = 1u << 16;

/// The value of a 16-bit float by definition: sign, exponent, fraction.
double by_definition(unsigned bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits;
  const int exponent = static_cast<int>((bits >> fraction_bits) & ((1u << exponent_bits) - 1u));
  const int fraction = static_cast<int>(bits & ((1u << fraction_bits) - 1u));
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits & 0x8000u) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) return fraction == 0 ? sign * HUGE_VAL : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
}

template <class Widen, class Narrow>
void check_all(int exponent_bits, const Widen& widen, const Narrow& narrow) {
  for (unsigned bits = 0; bits < kCount; ++bits) {
    const float value = widen(static_cast<std::uint16_t>(bits));
    const double expected = by_definition(bits, exponent_bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(widen(narrow(value)))) << bits;
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), expected) << bits;
    ASSERT_EQ(std::signbit(value), (bits & 0x8000u) != 0) << bits;
    ASSERT_EQ(narrow(value), bits);
  }
}

/// Between two neighbours, what is nearer wins, and halfway the even one.
template <class Widen, class Narrow>
void check_rounding(unsigned largest_finite, const Widen& widen, const Narrow& narrow) {
  for (unsigned bits = 0; bits < largest_finite; ++bits) {
    const float low = widen(static_cast<std::uint16_t>(bits));
    const float high = widen(static_cast<std::uint16_t>(bits + 1));
    const double middle = (static_cast<double>(low) + static_cast<double>(high)) / 2.0;
    const float half_way = static_cast<float>(middle);
    ASSERT_EQ(static_cast<double>(half_way), middle);
    ASSERT_EQ(narrow(half_way), bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(narrow(std::nextafter(half_way, low)), bits);
    ASSERT_EQ(narrow(std::nextafter(half_way, high)), bits + 1);
  }
}

TEST(Half, EveryValueGoesThereAndBack) { check_all(5, half_to_float, float_to_half); }
TEST(Half, RoundsToNearestEven) { check_rounding(0x7bff, half_to_float, float_to_half); }
TEST(Half, BeyondItsRangeIsInfinity) {
  EXPECT_EQ(float_to_half(65519.996f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(-1e30f), 0xfc00);
}
TEST(Half, BelowItsRangeIsZero) {
  EXPECT_EQ(float_to_half(0x1p-25f), 0);
  EXPECT_EQ(float_to_half(std::nextafter(0x1p-25f, 1.0f)), 1);
  EXPECT_EQ(float_to_half(-1e-30f), 0x8000);
}

TEST(Bfloat, EveryValueGoesThereAndBack) { check_all(8, bfloat_to_float, float_to_bfloat); }
TEST(Bfloat, RoundsToNearestEven) {
  // Normal numbers; halfway below them is not an FP32 number for all.
  for (unsigned bits = 0x80; bits < 0x7f7f; ++bits) {
    const std::uint32_t low = bits << 16;
    ASSERT_EQ(float_to_bfloat(std::bit_cast<float>(low | 0x7fffu)), bits);
    ASSERT_EQ(float_to_bfloat(std::bit_cast<float>(low | 0x8000u)),
              bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(float_to_bfloat(std::bit_cast<float>(low | 0x8001u)), bits + 1);
  }
}
TEST(Bfloat, NanStaysNan) {
  // Its payload lies in the bits that are cut off.
  EXPECT_TRUE(std::isnan(bfloat_to_float(float_to_bfloat(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace quant::test
