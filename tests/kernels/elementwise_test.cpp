// Accuracy of the element-wise kernels against double precision, on every instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

#include "base/splitmix64.h"
#include "kernels/kernels.h"
#include "support/print.h"

namespace quant::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> uniform(std::size_t n, double low, double high, std::uint64_t seed = 1) {
  SplitMix64 random(seed);
  std::vector<float> values;
  for (std::size_t i = 0; i < n; ++i) {
    values.push_back(static_cast<float>(low + (high - low) * random.uniform()));
  }
  return values;
}

class Elementwise : public testing::TestWithParam<Isa> {
 protected:
  const Kernels& kernels = kernels_for(GetParam());
};

TEST_P(Elementwise, LogSumExpOfAnyLength) {
  for (const int n : {1, 2, 5, 15, 16, 17, 31, 32, 33, 100, 511, 512}) {
    const std::vector<float> logits = uniform(static_cast<std::size_t>(n), -20.0, 20.0);
    const LogSumExpPart part = kernels.log_sum_exp_part(logits.data(), n);
    const auto top = std::ranges::max_element(logits);
    double sum = 0.0;
    for (const float x : logits)
      sum += std::exp(static_cast<double>(x) - static_cast<double>(*top));
    EXPECT_EQ(part.maximum, *top) << n;
    EXPECT_EQ(part.argmax, top - logits.begin()) << n;
    EXPECT_NEAR(part.sum / sum, 1.0, 1e-6) << n;
  }
}

TEST_P(Elementwise, LogSumExpReadsNothingBeyondTheEnd) {
  for (const int n : {1, 5, 16, 17, 511}) {
    std::vector<float> logits = uniform(static_cast<std::size_t>(n), -1.0, 1.0);
    const LogSumExpPart alone = kernels.log_sum_exp_part(logits.data(), n);
    logits.resize(logits.size() + 16, 100.0f);
    const LogSumExpPart among = kernels.log_sum_exp_part(logits.data(), n);
    EXPECT_EQ(alone.maximum, among.maximum);
    EXPECT_EQ(alone.sum, among.sum);
    EXPECT_EQ(alone.argmax, among.argmax);
  }
}

TEST_P(Elementwise, LogSumExpNamesTheFirstOfEqualMaxima) {
  for (const int n : {16, 17, 40, 511}) {
    for (int first = 0; first < n; first += 3) {
      for (int second = first + 1; second < n; second += 7) {
        std::vector<float> logits(static_cast<std::size_t>(n), -3.0f);
        logits[static_cast<std::size_t>(first)] = logits[static_cast<std::size_t>(second)] = 2.0f;
        ASSERT_EQ(kernels.log_sum_exp_part(logits.data(), n).argmax, first)
            << n << ": " << first << ", " << second;
      }
    }
  }
}

TEST_P(Elementwise, LogSumExpOfLargeVocabulariesAndLargeLogits) {
  // All equal: the sum is exact, however many there are.
  const std::vector<float> equal(512, 1e4f);
  const LogSumExpPart part = kernels.log_sum_exp_part(equal.data(), 512);
  EXPECT_EQ(part.maximum, 1e4f);
  EXPECT_EQ(part.sum, 512.0);
  EXPECT_EQ(part.argmax, 0);
}

TEST_P(Elementwise, ANanAmongTheLogitsIsNotLost) {
  for (const int n : {5, 17, 32}) {
    for (int at = 0; at < n; ++at) {
      std::vector<float> logits = uniform(static_cast<std::size_t>(n), -1.0, 1.0);
      logits[static_cast<std::size_t>(at)] = std::numeric_limits<float>::quiet_NaN();
      const LogSumExpPart part = kernels.log_sum_exp_part(logits.data(), n);
      EXPECT_TRUE(std::isnan(part.sum)) << n << ", " << at;
      EXPECT_GE(part.argmax, 0);
      EXPECT_LT(part.argmax, n);
    }
  }
}

TEST_P(Elementwise, WeightedDifferenceOfAnyLength) {
  for (const int n : {1, 5, 16, 17, 33, 511, 512}) {
    const std::size_t size = static_cast<std::size_t>(n);
    const std::vector<float> w = uniform(size, 0.0, 1.0);
    const std::vector<float> a = uniform(size, -20.0, 20.0);
    const std::vector<float> b = uniform(size, -20.0, 20.0);
    double expected = 0.0;
    for (std::size_t i = 0; i < size; ++i) {
      expected +=
          static_cast<double>(w[i]) * (static_cast<double>(a[i]) - static_cast<double>(b[i]));
    }
    const double sum = kernels.weighted_difference(w.data(), a.data(), b.data(), n);
    EXPECT_NEAR(sum, expected, 1e-5 * n) << n;
    const Kernels& scalar = kernels_for(Isa::kScalar);
    EXPECT_EQ(sum, scalar.weighted_difference(w.data(), a.data(), b.data(), n)) << n;
  }
}

TEST_P(Elementwise, SoftmaxPart) {
  for (const int n : {16, 256}) {
    std::vector<float> x = uniform(static_cast<std::size_t>(n), -30.0, 30.0);
    const std::vector<float> scores = x;
    float exponent = 0.0f;
    float sum = 0.0f;
    kernels.softmax_part(x.data(), x.size(), 1, n, &exponent, &sum, {});
    EXPECT_EQ(exponent, std::rint(std::ranges::max(scores) * std::numbers::log2e_v<float>));
    double total = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected =
          std::exp(static_cast<double>(scores[i])) * std::exp2(-static_cast<double>(exponent));
      // The distance to the maximum is rounded, and its product with log2(e).
      const double below = static_cast<double>(std::ranges::max(scores) - scores[i]);
      EXPECT_NEAR(x[i], expected, (3e-7 + 1.4e-7 * below) * expected + 1e-37);
      total += expected;
    }
    EXPECT_NEAR(sum, total, 1e-6 * total);
  }
}

TEST_P(Elementwise, SoftmaxOfSeveralListsIsThatOfEach) {
  constexpr std::size_t kStride = 272;
  constexpr int kEntries = 48;
  for (int rows = 1; rows <= 9; ++rows) {
    std::vector<float> x = uniform(static_cast<std::size_t>(rows) * kStride, -30.0, 30.0);
    std::vector<float> each = x;
    std::vector<float> exponent(static_cast<std::size_t>(rows));
    std::vector<float> sum(exponent.size());
    kernels.softmax_part(x.data(), kStride, rows, kEntries, exponent.data(), sum.data(), {});
    for (std::size_t row = 0; row < exponent.size(); ++row) {
      float own_exponent = 0.0f;
      float own_sum = 0.0f;
      kernels.softmax_part(each.data() + row * kStride, kStride, 1, kEntries, &own_exponent,
                           &own_sum, {});
      EXPECT_EQ(exponent[row], own_exponent);
      EXPECT_EQ(sum[row], own_sum);
    }
    EXPECT_EQ(x, each) << rows;
  }
}

TEST_P(Elementwise, SoftmaxOfMaskedEntriesIsExactlyZero) {
  std::vector<float> x(32, -kInf);
  x[5] = -200.0f;
  x[20] = -201.0f;
  float exponent = 0.0f;
  float sum = 0.0f;
  kernels.softmax_part(x.data(), x.size(), 1, 32, &exponent, &sum, {});
  EXPECT_EQ(exponent, -289.0f);
  EXPECT_NEAR(sum, std::exp2(289.0) * (std::exp(-200.0) + std::exp(-201.0)), 1e-6);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i == 5 || i == 20) continue;
    EXPECT_EQ(x[i], 0.0f) << i;
  }
}

TEST_P(Elementwise, SoftmaxHasWeightsOfFullPrecision) {
  const std::vector<float> scores = uniform(4096, -87.0, 0.0);
  for (std::size_t i = 0; i < scores.size(); i += 16) {
    std::vector<float> x(scores.begin() + static_cast<std::ptrdiff_t>(i),
                         scores.begin() + static_cast<std::ptrdiff_t>(i) + 16);
    x[0] = 0.0f;
    const std::vector<float> in = x;
    float exponent = 1.0f;
    float sum = 0.0f;
    kernels.softmax_part(x.data(), 16, 1, 16, &exponent, &sum, {});
    EXPECT_EQ(exponent, 0.0f);
    EXPECT_EQ(x[0], 1.0f);
    for (std::size_t j = 0; j < 16; ++j) {
      // The product with log2(e) is rounded once.
      const double expected = std::exp(static_cast<double>(in[j]));
      EXPECT_NEAR(x[j], expected, (1.5e-7 - 8e-8 * static_cast<double>(in[j])) * expected) << in[j];
    }
  }
}

TEST_P(Elementwise, SoftmaxOfAnyMagnitudeIsFiniteAndOfNaNIsNaN) {
  for (const float top : {-1e30f, -1e10f, -5e6f, 3e6f, 5e6f, 1e10f, 1e30f}) {
    std::vector<float> x(16, top - std::abs(top) * 1e-3f);
    x[3] = x[7] = top;
    float exponent = 0.0f;
    float sum = 0.0f;
    kernels.softmax_part(x.data(), 16, 1, 16, &exponent, &sum, {});
    EXPECT_EQ(exponent, std::rint(exponent)) << top;
    EXPECT_NEAR(exponent, top * std::numbers::log2e_v<float>, 0.5 + std::abs(top) * 1e-6) << top;
    EXPECT_EQ(x[3], x[7]) << top;
    EXPECT_GT(x[3], 0.59f) << top;
    EXPECT_LT(x[3], 1.69f) << top;
    EXPECT_EQ(sum, 2 * x[3]) << top;
  }
  for (const std::uint32_t bits : {0x7fc00000u, 0x7fc00001u, 0x7fc001ffu, 0xffc00155u}) {
    std::vector<float> x(16, 1.0f);
    x[5] = std::bit_cast<float>(bits);
    float exponent = 0.0f;
    float sum = 0.0f;
    kernels.softmax_part(x.data(), 16, 1, 16, &exponent, &sum, {});
    EXPECT_TRUE(std::isnan(sum)) << bits;
  }
}

TEST_P(Elementwise, Softcap) {
  for (const float cap : {1.0f, 30.0f, 50.0f}) {
    std::vector<float> x =
        uniform(4096, -4.0 * static_cast<double>(cap), 4.0 * static_cast<double>(cap));
    x[0] = 0.0f;
    x[1] = 1e-6f;
    x[2] = 1e6f;
    x[3] = -1e6f;
    const std::vector<float> in = x;
    kernels.softcap(x.data(), cap, 4096);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double c = static_cast<double>(cap);
      const double expected = c * std::tanh(static_cast<double>(in[i]) / c);
      // Around the change from series to sigmoid, cancellation costs the most.
      EXPECT_NEAR(x[i], expected, 3e-6 * std::abs(expected) + 1e-12) << in[i] << " cap " << cap;
    }
  }
}

TEST_P(Elementwise, GatedActivations) {
  std::vector<float> x = uniform(4096, -12.0, 12.0);
  x[0] = 0.0f;
  x[1] = 100.0f;
  x[2] = -100.0f;
  const std::vector<float> up = uniform(4096, -2.0, 2.0, 9);
  for (const Activation activation : {Activation::kSilu, Activation::kGeluTanh}) {
    std::vector<float> gate = x;
    kernels.gated_activation(gate.data(), up.data(), 4096, activation);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double v = static_cast<double>(x[i]);
      const double inner = std::sqrt(2.0 / std::numbers::pi) * (v + 0.044715 * v * v * v);
      const double act = activation == Activation::kSilu ? v / (1.0 + std::exp(-v))
                                                         : v / (1.0 + std::exp(-2.0 * inner));
      const double expected = act * static_cast<double>(up[i]);
      // The argument's rounding is magnified by the exponential, most where the result is tiny.
      const double condition = activation == Activation::kSilu ? 1.0 : 1.0 + std::abs(2.0 * inner);
      EXPECT_NEAR(gate[i], expected, 1e-6 * condition * std::abs(expected) + 1e-30)
          << x[i] << (activation == Activation::kSilu ? " silu" : " gelu");
    }
  }
}

TEST_P(Elementwise, RmsNorm) {
  for (const int n : {16, 64, 576}) {
    const std::vector<float> x = uniform(static_cast<std::size_t>(n), -3.0, 5.0);
    const std::vector<float> weight = uniform(static_cast<std::size_t>(n), 0.5, 1.5, 2);
    std::vector<float> out(x.size());
    kernels.rms_norm(x.data(), weight.data(), 1e-5f, n, out.data());
    double squares = 0.0;
    for (const float v : x) squares += static_cast<double>(v) * static_cast<double>(v);
    const double factor = 1.0 / std::sqrt(squares / n + 1e-5);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = static_cast<double>(x[i]) * factor * static_cast<double>(weight[i]);
      EXPECT_NEAR(out[i], expected, 1e-6 * std::abs(expected));
    }
    std::vector<float> in_place = x;
    kernels.rms_norm(in_place.data(), weight.data(), 1e-5f, n, in_place.data());
    EXPECT_EQ(in_place, out);
  }
}

TEST_P(Elementwise, RopeTurnsPairsAndLeavesTheRest) {
  const std::vector<float> x = uniform(32, -2.0, 2.0);
  const std::vector<float> angles = uniform(12, 0.0, 6.0, 3);
  std::vector<float> cos;
  std::vector<float> sin;
  for (const float a : angles) {
    cos.push_back(std::cos(a));
    sin.push_back(std::sin(a));
  }
  constexpr std::size_t kHalf = 12;  // 24 of 32 coordinates turn
  for (const RopeStyle style : {RopeStyle::kNormal, RopeStyle::kNeoX}) {
    std::vector<float> turned = x;
    kernels.rope(turned.data(), cos.data(), sin.data(), 2 * kHalf, style);
    for (std::size_t i = 0; i < kHalf; ++i) {
      const std::size_t a = style == RopeStyle::kNormal ? 2 * i : i;
      const std::size_t b = style == RopeStyle::kNormal ? 2 * i + 1 : i + kHalf;
      EXPECT_NEAR(turned[a], x[a] * cos[i] - x[b] * sin[i], 1e-6);
      EXPECT_NEAR(turned[b], x[a] * sin[i] + x[b] * cos[i], 1e-6);
    }
    for (std::size_t i = 2 * kHalf; i < x.size(); ++i) EXPECT_EQ(turned[i], x[i]);
  }
}

TEST_P(Elementwise, MergeAddScale) {
  const std::vector<float> a = uniform(48, -1.0, 1.0);
  const std::vector<float> b = uniform(48, -1.0, 1.0, 2);
  std::vector<float> merged = a;
  kernels.merge(merged.data(), 0.5f, b.data(), 0.25f, 48);
  std::vector<float> sum = a;
  kernels.add(sum.data(), b.data(), 48);
  std::vector<float> scaled = a;
  kernels.scale(scaled.data(), -3.0f, 48);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(merged[i], 0.5f * a[i] + 0.25f * b[i], 1e-7);
    EXPECT_EQ(sum[i], a[i] + b[i]);
    EXPECT_EQ(scaled[i], -3.0f * a[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Elementwise, testing::ValuesIn(available_isas()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
