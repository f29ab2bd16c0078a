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

/// Products a cycle that no processor with the instruction set exceeds.
struct Most {
  int floats;
  int int8;
};
Most most_of(Isa isa) {
  if (isa == Isa::kAmx) return {32, 1024};
  if (isa == Isa::kAvx512) return {32, 128};
  return {16, 64};
}

class Bursts : public testing::TestWithParam<Isa> {};

/// Finds what is left out if that is most of the products: the clock is not known.
TEST_P(Bursts, DoNotMultiplyFasterThanAProcessorCan) {
  constexpr double kHertz = 6.5e9;
  const Kernels& kernels = kernels_for(GetParam());
  const Most most = most_of(GetParam());
  EXPECT_LT(rate(kernels.float_burst, kernels.float_burst_products), kHertz * most.floats);
  EXPECT_LT(rate(kernels.int8_burst, kernels.int8_burst_products), kHertz * most.int8);
}

/// One vpdpbusd multiplies four times what an fma does, and as many of them start in a cycle. Sums
/// that go through memory reached 3.2 times.
TEST_P(Bursts, KeepSumsInRegisters) {
  if (GetParam() != Isa::kAvx512 && GetParam() != Isa::kAvxVnni) {
    GTEST_SKIP() << "the ratio is known of VNNI alone";
  }
  const Kernels& kernels = kernels_for(GetParam());
  double floats = 0.0;
  double int8 = 0.0;
  for (int i = 0; i < 30; ++i) {  // other processes disturb a run, not all of them
    floats = std::max(floats, rate(kernels.float_burst, kernels.float_burst_products));
    int8 = std::max(int8, rate(kernels.int8_burst, kernels.int8_burst_products));
  }
  EXPECT_GT(int8 / floats, 3.6);
}

INSTANTIATE_TEST_SUITE_P(Isas, Bursts, testing::ValuesIn(available_isas()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
