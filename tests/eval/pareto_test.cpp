// Pareto efficiency of pairs of costs.
#include "quant/pareto.h"

#include <gtest/gtest.h>

#include <limits>

namespace quant::test {
namespace {

using Front = std::vector<bool>;

TEST(ParetoFront, KeepsWhatNothingBeatsInBoth) {
  const std::vector<CostPoint> points = {{1, 9}, {2, 5}, {3, 6}, {4, 1}, {5, 1}};
  EXPECT_EQ(pareto_front(points), (Front{true, true, false, true, false}));
}

TEST(ParetoFront, EqualPointsStayTogether) {
  const std::vector<CostPoint> points = {{2, 2}, {2, 2}, {2, 3}, {3, 2}};
  EXPECT_EQ(pareto_front(points), (Front{true, true, false, false}));
}

TEST(ParetoFront, WhatIsNotFiniteIsNeverWorthHaving) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const std::vector<CostPoint> points = {{1, kInfinity}, {2, kNaN}, {9, 9}};
  EXPECT_EQ(pareto_front(points), (Front{false, false, true}));
  EXPECT_TRUE(pareto_front({}).empty());
}

}  // namespace
}  // namespace quant::test
