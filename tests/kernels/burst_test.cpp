// Bursts measure the peak of the machine: a compiler that leaves products out makes it a fiction.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "kernels/kernels.h"
#include "support/print.h"

namespace quant::test {
namespace {

using Burst = float (*)(std::int64_t);

/// Products a second, the best of three.
double rate(Burst burst, int products) {
  constexpr std::int64_t kSteps = 20'000;
  double best = 0.0;
  for (int i = 0; i < 3; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    [[maybe_unused]] volatile float result = burst(kSteps);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(kSteps) * products / seconds.count());
  }
  return best;
}

class Bursts : public testing::TestWithParam<Isa> {
 protected:
  const Kernels& kernels = kernels_for(GetParam());
  /// No processor that has these instruction sets is faster.
  static constexpr double kHertz = 6.5e9;
};

TEST_P(Bursts, DoNotMultiplyFasterThanAProcessorCan) {
  // Two 512-bit fma a cycle; two 512-bit dot products, or 1,024 products of a matrix unit.
  EXPECT_LT(rate(kernels.float_burst, kernels.float_burst_products), kHertz * 32);
  EXPECT_LT(rate(kernels.int8_burst, kernels.int8_burst_products),
            kHertz * (GetParam() == Isa::kAmx ? 1024 : 128));
}

INSTANTIATE_TEST_SUITE_P(Isas, Bursts, testing::ValuesIn(available_isas()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
