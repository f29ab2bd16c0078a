// Shares and their differences. Expected values are of scipy 1.17.1: binomtest(k, n)
// .proportion_ci(0.95, "wilson") and binomtest(min(b, c), b + c, 0.5).pvalue.
#include "quant/proportion.h"

#include <gtest/gtest.h>

namespace quant::test {
namespace {

TEST(Proportion, WilsonAgreesWithScipy) {
  const auto expect = [](std::int64_t k, std::int64_t n, double low, double high) {
    const Interval interval = wilson_interval(k, n);
    EXPECT_NEAR(interval.low, low, 1e-14) << k << " of " << n;
    EXPECT_NEAR(interval.high, high, 1e-14) << k << " of " << n;
  };
  expect(0, 10, 0.0, 0.27753279986288926);
  expect(10, 10, 0.7224672001371109, 1.0);
  expect(3, 40, 0.025836025774588198, 0.19864233524310543);
  expect(19, 20, 0.763868806553258, 0.9911185511992047);
  expect(250, 1000, 0.2241530989836914, 0.27776028025908617);
  expect(1, 1, 0.20654931437723745, 1.0);
  expect(0, 0, 0.0, 1.0);
}

TEST(Proportion, McNemarAgreesWithScipy) {
  EXPECT_EQ(mcnemar_exact_p(0, 0), 1.0);
  EXPECT_EQ(mcnemar_exact_p(1, 0), 1.0);
  EXPECT_EQ(mcnemar_exact_p(3, 3), 1.0);
  EXPECT_NEAR(mcnemar_exact_p(5, 0), 0.0625, 1e-14);
  EXPECT_NEAR(mcnemar_exact_p(0, 6), 0.03125, 1e-14);
  EXPECT_NEAR(mcnemar_exact_p(12, 5), 0.143463134765625, 1e-13);
  EXPECT_NEAR(mcnemar_exact_p(20, 40), 0.01348929373119186, 1e-13);
  EXPECT_NEAR(mcnemar_exact_p(150, 101), 0.0023809925216453512, 1e-12);
}

}  // namespace
}  // namespace quant::test
