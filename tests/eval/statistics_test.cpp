#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/splitmix64.h"

namespace quant::test {
namespace {

constexpr std::size_t kBlock = kBlockTokens;

std::vector<double> independent_values(std::size_t n) {
  SplitMix64 random(5);
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(-std::log(1.0 - random.uniform()));
  return values;
}

double error_over_blocks(const std::vector<double>& run) {
  std::vector<Block> blocks;
  append_blocks(run, 1.0, blocks);
  return block_standard_error(blocks);
}

TEST(Statistics, KnownMeanAndStandardError) {
  const std::vector<double> values = {1.0, 2.0, 3.0, 4.0};
  EXPECT_DOUBLE_EQ(mean(values), 2.5);
  EXPECT_DOUBLE_EQ(standard_error(values), std::sqrt(1.25 / 3.0));
}

TEST(Statistics, FewValues) {
  // A zero would claim certainty.
  EXPECT_TRUE(std::isnan(standard_error(std::vector<double>{3.0})));
  EXPECT_TRUE(std::isnan(standard_error(std::vector<double>{})));
  EXPECT_TRUE(std::isnan(error_over_blocks(std::vector<double>{})));
  EXPECT_TRUE(std::isnan(error_over_blocks(independent_values(kBlock))));
  EXPECT_GT(error_over_blocks(independent_values(kBlock + 1)), 0.0);
}

TEST(Statistics, BlocksOfIndependentValuesChangeNothing) {
  const std::vector<double> values = independent_values(400 * kBlock);
  // 400 blocks know their own variance to about 4 %, 2000 resamples theirs to 2 %.
  EXPECT_NEAR(error_over_blocks(values) / standard_error(values), 1.0, 0.15);
}

TEST(Statistics, BlocksOfEqualValuesCountAsOneValueEach) {
  std::vector<double> values;
  for (const double v : independent_values(400)) values.insert(values.end(), kBlock, v);
  const double expected = std::sqrt(static_cast<double>(kBlock));
  EXPECT_NEAR(error_over_blocks(values) / standard_error(values), expected, 0.1 * expected);
}

TEST(Statistics, TheBootstrapGivesTheSameNumberAgain) {
  const std::vector<double> values = independent_values(1000);
  EXPECT_EQ(error_over_blocks(values), error_over_blocks(values));
}

TEST(Statistics, AShortLastBlockWeighsByItsLength) {
  std::vector<double> values(kBlock + 1, 1.0);
  values.back() = 2.0;
  EXPECT_GT(error_over_blocks(values), 0.0);
  EXPECT_LT(error_over_blocks(values), 0.5);
}

TEST(Quantile, IsLinearBetweenRanks) {
  const std::vector<double> values = {1.0, 2.0, 4.0, 8.0};
  EXPECT_EQ(quantile(values, 0.0), 1.0);
  EXPECT_EQ(quantile(values, 1.0), 8.0);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 3.0);
  EXPECT_DOUBLE_EQ(quantile(values, 0.9), 6.8);
  EXPECT_EQ(quantile(std::vector<double>{5.0}, 0.3), 5.0);
}

}  // namespace
}  // namespace quant::test
