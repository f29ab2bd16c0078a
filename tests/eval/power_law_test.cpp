#include "quant/power_law.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace quant::test {
namespace {

TEST(PowerLaw, IsFoundExactly) {
  std::vector<CurvePoint> points;
  for (const double x : {1.0, 2.0, 5.0, 40.0}) points.push_back({x, 3.0 * std::pow(x, -0.7), x});
  const auto fit = fit_power_law(points);
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR(fit->exponent, -0.7, 1e-14);
  EXPECT_NEAR(fit->scale, 3.0, 1e-13);
  EXPECT_NEAR(fit->rms_log, 0.0, 1e-7);
  EXPECT_NEAR(fit->r_squared, 1.0, 1e-14);
  EXPECT_EQ(fit->points, 4);
}

/// numpy.polyfit(log(x), log(y), 1, w=sqrt(weight)) of these points, and the residuals it leaves.
TEST(PowerLaw, IsWeightedLeastSquares) {
  const std::vector<CurvePoint> points = {
      {1.0, 2.0, 1.0}, {2.0, 0.5, 3.0}, {4.0, 0.9, 0.5}, {8.0, 0.1, 2.0}};
  const auto fit = fit_power_law(points);
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR(fit->exponent, -1.2695886554146962, 1e-12);
  EXPECT_NEAR(fit->scale, 1.5280552852016043, 1e-12);
  EXPECT_NEAR(fit->rms_log, 0.39484900388118804, 1e-12);
  EXPECT_NEAR(fit->r_squared, 0.8533639043129573, 1e-12);
}

TEST(PowerLaw, PointsThatCannotBeOnLogarithmicAxesDoNotCount) {
  std::vector<CurvePoint> points = {{1.0, 1.0, 1.0}, {2.0, 0.5, 1.0}, {4.0, 0.25, 1.0},
                                    {0.0, 9.0, 1.0}, {3.0, 0.0, 1.0}, {3.0, 9.0, 0.0}};
  const auto fit = fit_power_law(points);
  ASSERT_TRUE(fit.has_value());
  EXPECT_EQ(fit->points, 3);
  EXPECT_NEAR(fit->exponent, -1.0, 1e-14);
  points.erase(points.begin());
  EXPECT_FALSE(fit_power_law(points).has_value());
  const std::vector<CurvePoint> same_x(5, {2.0, 1.0, 1.0});
  EXPECT_FALSE(fit_power_law(same_x).has_value());
  EXPECT_FALSE(fit_power_law({}).has_value());
}

TEST(PowerLaw, AFlatCurveIsAPowerLawOfExponentZero) {
  const std::vector<CurvePoint> points = {{1.0, 2.0, 1.0}, {3.0, 2.0, 1.0}, {9.0, 2.0, 1.0}};
  const auto fit = fit_power_law(points);
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR(fit->exponent, 0.0, 1e-15);
  EXPECT_EQ(fit->r_squared, 1.0);
}

}  // namespace
}  // namespace quant::test
