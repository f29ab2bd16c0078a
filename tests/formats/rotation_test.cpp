// The rotation and the codebooks of turbo_kv, recomputed.
#include "formats/rotation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <set>
#include <vector>

#include "base/splitmix64.h"
#include "formats/codebook.h"
#include "simd/scalar.h"

namespace quant::test {
namespace {

using TestedRotation = Rotation<Scalar>;

std::vector<int> supported_dims() {
  std::vector<int> dims;
  for (int d = 0; d <= 1024; ++d) {
    if (TestedRotation::supports(d)) dims.push_back(d);
  }
  return dims;
}

TEST(Rotation, DimensionsThatHaveOne) {
  EXPECT_EQ(supported_dims(), (std::vector<int>{16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224,
                                                256, 320, 384, 448, 512}));
}

std::vector<float> random_vector(int d, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<float> x(static_cast<std::size_t>(d));
  for (float& v : x) v = static_cast<float>(random.uniform() * 2.0 - 1.0);
  return x;
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    sum += static_cast<double>(a[j]) * static_cast<double>(b[j]);
  }
  return sum;
}

/// Every unit vector becomes ±1/√d everywhere, and comes back.
TEST(Rotation, SpreadsOneCoordinateEvenlyOverAll) {
  for (const int d : supported_dims()) {
    for (int j = 0; j < d; ++j) {
      std::vector<float> x(static_cast<std::size_t>(d), 0.0f);
      x[static_cast<std::size_t>(j)] = 1.0f;
      const std::vector<float> unit = x;
      TestedRotation::rotate(x.data(), d);
      for (const float v : x) {
        ASSERT_NEAR(std::abs(static_cast<double>(v)), 1.0 / std::sqrt(d), 1e-8) << "d " << d;
      }
      TestedRotation::unrotate(x.data(), d);
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], unit[i], 1e-6f) << "d " << d;
    }
  }
}

/// ⟨Hx, y⟩ = ⟨x, H'y⟩, so that unrotate is the transpose; with the test above, H is orthogonal.
TEST(Rotation, UndoingIsTheTranspose) {
  for (const int d : supported_dims()) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const std::vector<float> x = random_vector(d, seed);
      const std::vector<float> y = random_vector(d, seed + 100);
      std::vector<float> rotated = x;
      std::vector<float> unrotated = y;
      TestedRotation::rotate(rotated.data(), d);
      TestedRotation::unrotate(unrotated.data(), d);
      EXPECT_NEAR(dot(rotated, y), dot(x, unrotated), 1e-5) << "d " << d;
      EXPECT_NEAR(dot(rotated, rotated), dot(x, x), 1e-5 * dot(x, x)) << "d " << d;
    }
  }
}

TEST(Rotation, SignsAreSplitMixOfVersionAndCoordinate) {
  SplitMix64 stream(kRotationVersion);
  for (const float sign : kRotationSigns.coordinate) {
    EXPECT_EQ(sign, (stream.next() >> 63) != 0 ? -1.0f : 1.0f);
  }
}

/// Four standard deviations: neither balance nor any alternation is visible.
TEST(Rotation, SignsLookRandom) {
  const float* sign = kRotationSigns.coordinate;
  for (const int d : {64, 128, 256, 512}) {
    for (int lag = 0; lag <= 16; ++lag) {
      double sum = 0.0;
      for (int j = 0; j + lag < d; ++j) {
        sum += static_cast<double>(sign[j]) * (lag == 0 ? 1.0 : static_cast<double>(sign[j + lag]));
      }
      EXPECT_LT(std::abs(sum), 4.0 * std::sqrt(d)) << "d " << d << ", lag " << lag;
    }
  }
}

double density(double x) { return std::exp(-x * x / 2.0) / std::sqrt(2.0 * std::numbers::pi); }
double tail(double x) { return 0.5 * std::erfc(x / std::numbers::sqrt2); }

/// Lloyd's iteration on the positive half of N(0,1): boundaries half-way, centroids at the means.
std::vector<double> lloyd(int bits, double& error) {
  const std::size_t half = std::size_t{1} << (bits - 1);
  std::vector<double> centroid(half);
  for (std::size_t i = 0; i < half; ++i) {
    centroid[i] = 3.0 * (static_cast<double>(i) + 0.5) / static_cast<double>(half);
  }
  double change = 1.0;
  while (change > 1e-13) {
    change = 0.0;
    error = 1.0;
    std::vector<double> next(half);
    for (std::size_t i = 0; i < half; ++i) {
      const double low = i == 0 ? 0.0 : (centroid[i - 1] + centroid[i]) / 2.0;
      const double high = i + 1 == half ? std::numeric_limits<double>::infinity()
                                        : (centroid[i] + centroid[i + 1]) / 2.0;
      next[i] = (density(low) - density(high)) / (tail(low) - tail(high));
      error -= 2.0 * next[i] * next[i] * (tail(low) - tail(high));
      change = std::max(change, std::abs(next[i] - centroid[i]));
    }
    centroid = next;
  }
  return centroid;
}

template <int Bits>
void expect_lloyd_max(double expected_error) {
  double error = 0.0;
  const std::vector<double> positive = lloyd(Bits, error);
  EXPECT_NEAR(error, expected_error, 5e-5);
  const int half = 1 << (Bits - 1);
  const Codebook& book = kLloydMax<Bits>;
  for (int i = 0; i < half; ++i) {
    const auto expected = static_cast<float>(positive[static_cast<std::size_t>(i)]);
    EXPECT_FLOAT_EQ(book.centroid[half + i], expected);
    EXPECT_FLOAT_EQ(book.centroid[half - 1 - i], -expected);
  }
  for (int i = 0; i + 1 < 2 * half; ++i) {
    EXPECT_FLOAT_EQ(book.boundary[i], (book.centroid[i] + book.centroid[i + 1]) / 2.0f);
  }
}

TEST(Codebook, IsTheLloydMaxQuantizerOfTheNormalDistribution) {
  expect_lloyd_max<1>(0.3634);
  expect_lloyd_max<2>(0.1175);
  expect_lloyd_max<3>(0.03454);
  expect_lloyd_max<4>(0.0095);
}

}  // namespace
}  // namespace quant::test
