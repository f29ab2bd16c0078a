// Activations as int8.
#include <cfloat>
#include <cmath>
#include <numeric>

#include "formats/weight_reference.h"
#include "support/print.h"

namespace quant::test {
namespace {

/// One input.
struct Blocks : QuantizedInputs {
  Blocks(Isa isa, const std::vector<float>& x)
      : QuantizedInputs(kernels_for(isa), x, 1, static_cast<std::int64_t>(x.size())) {}
};

class QuantizeInt8Test : public testing::TestWithParam<Isa> {};

TEST_P(QuantizeInt8Test, IsWithinHalfAStepAndSumsItsCodes) {
  std::vector<float> x = random_inputs(32 * 64, 3);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= std::exp2(static_cast<float>(i / 32) - 32.0f);
  const Blocks b(GetParam(), x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float step = b.scale[i / 32];
    ASSERT_GE(b.q[i], -127);
    ASSERT_LE(std::abs(x[i] - step * static_cast<float>(b.q[i])), 0.5001f * step) << i;
  }
  for (std::int64_t block = 0; block < 64; ++block) {
    const auto first = b.q.begin() + block * 32;
    const int low = std::accumulate(first, first + 16, 0);
    const int high = std::accumulate(first + 16, first + 32, 0);
    ASSERT_EQ(b.block_sum(0, block, 0), low);
    ASSERT_EQ(b.block_sum(0, block, 1), high);
    ASSERT_EQ(b.block_sum(0, block, 2), low + high);
    for (int part = 0; part < kInt8Sums; ++part) {
      ASSERT_EQ(b.block_scaled_sum(0, block, part),
                b.block_scale(0, block) * static_cast<float>(b.block_sum(0, block, part)));
    }
  }
}

TEST_P(QuantizeInt8Test, LargestMagnitudeBecomes127WithItsSign) {
  for (const float largest : {1.0f, -1.0f, 3.0e38f, -3.0e38f, 2.0e-30f}) {
    std::vector<float> x(32, largest * 0.25f);
    x[19] = largest;
    const Blocks b(GetParam(), x);
    EXPECT_EQ(b.q[19], largest > 0 ? 127 : -127) << largest;
    EXPECT_EQ(b.q[0], largest > 0 ? 32 : -32) << largest;
    EXPECT_FLOAT_EQ(b.scale[0], std::abs(largest) / 127.0f);
  }
}

TEST_P(QuantizeInt8Test, TiesGoToTheEvenCode) {
  std::vector<float> x(32, 0.0f);
  x[0] = 127.0f;
  x[1] = 0.5f;
  x[2] = 1.5f;
  x[3] = 2.5f;
  x[4] = -0.5f;
  x[5] = -1.5f;
  const Blocks b(GetParam(), x);
  EXPECT_EQ(b.scale[0], 1.0f);
  EXPECT_EQ(b.q[1], 0);
  EXPECT_EQ(b.q[2], 2);
  EXPECT_EQ(b.q[3], 2);
  EXPECT_EQ(b.q[4], 0);
  EXPECT_EQ(b.q[5], -2);
}

TEST_P(QuantizeInt8Test, ZerosAndTheTiniestNumbersStayFinite) {
  for (const float tiny : {0.0f, -0.0f, FLT_TRUE_MIN, -1e-40f, FLT_MIN, 1e-36f, 1e-34f}) {
    std::vector<float> x(32, 0.0f);
    x[7] = tiny;
    const Blocks b(GetParam(), x);
    ASSERT_TRUE(std::isfinite(b.scale[0])) << tiny;
    ASSERT_GE(b.scale[0], 0.0f);
    EXPECT_NEAR(b.scale[0] * static_cast<float>(b.q[7]), tiny, 2e-34f);
    EXPECT_EQ(b.sum[0], b.q[7]);
    EXPECT_EQ(b.sum[1], 0);
  }
}

TEST_P(QuantizeInt8Test, WhatIsNotFiniteIsNotHidden) {
  for (const float bad : {std::nanf(""), -std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    for (std::size_t at = 0; at < 32; ++at) {
      std::vector<float> x(32, 1.0f);
      x[at] = bad;
      const Blocks b(GetParam(), x);
      ASSERT_FALSE(std::isfinite(b.scale[0])) << bad << " at " << at;
      for (const std::int8_t q : b.q) ASSERT_GE(q, -127);
    }
  }
}

TEST_P(QuantizeInt8Test, SameBitsAsScalar) {
  std::vector<float> x = random_inputs(32 * 64, 4);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= std::exp2(static_cast<float>(i / 32) - 32.0f);
  const Blocks expected(Isa::kScalar, x);
  const Blocks b(GetParam(), x);
  EXPECT_EQ(b.q, expected.q);
  EXPECT_EQ(b.scale, expected.scale);
  EXPECT_EQ(b.sum, expected.sum);
  EXPECT_EQ(b.scaled_sum, expected.scaled_sum);
}

TEST_P(QuantizeInt8Test, GroupsInterleaveWhatSingleInputsGive) {
  constexpr std::int64_t kCols = 96;
  for (int m = 1; m <= 30; ++m) {
    const std::vector<float> x = random_inputs(static_cast<std::size_t>(m * kCols), 5);
    const QuantizedInputs all(kernels_for(GetParam()), x, m, kCols);
    for (int i = 0; i < m; ++i) {
      const Blocks one(GetParam(), {x.begin() + i * kCols, x.begin() + (i + 1) * kCols});
      for (std::int64_t k = 0; k < kCols; ++k) ASSERT_EQ(all.code(i, k), one.code(0, k)) << m;
      for (std::int64_t block = 0; block < kCols / kInt8Block; ++block) {
        ASSERT_EQ(all.block_scale(i, block), one.block_scale(0, block));
        for (int part = 0; part < kInt8Sums; ++part) {
          ASSERT_EQ(all.block_sum(i, block, part), one.block_sum(0, block, part));
          ASSERT_EQ(all.block_scaled_sum(i, block, part), one.block_scaled_sum(0, block, part));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, QuantizeInt8Test, testing::ValuesIn(available_isas()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
