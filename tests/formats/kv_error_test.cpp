// How far a decoded row may be from the original, and what no row may contain.
#include <limits>

#include "formats/kv_rows.h"

namespace quant::test {
namespace {

constexpr double kHalfUlp = 0x1p-11;     // relative rounding error of a normal fp16
constexpr double kHalfTiny = 0x1p-25;    // absolute rounding error of a subnormal fp16
constexpr double kBfloatUlp = 0x1p-8;    // relative rounding error of a normal bfloat16
constexpr double kFloatSlack = 0x1p-20;  // a few roundings of FP32

class KvError : public testing::TestWithParam<KvCase> {
 protected:
  const KvCase c = GetParam();

  bool encodes(const std::vector<float>& row) {
    const int d = static_cast<int>(row.size());
    std::vector<std::uint8_t> packed(c.row_bytes(d));
    return c.kernels().encode(row.data(), d, packed.data());
  }
  std::vector<float> round_trip(const std::vector<float>& row) {
    const int d = static_cast<int>(row.size());
    std::vector<std::uint8_t> packed(c.row_bytes(d));
    EXPECT_TRUE(c.kernels().encode(row.data(), d, packed.data()));
    std::vector<float> out(row.size());
    c.kernels().decode(packed.data(), d, out.data());
    return out;
  }
};

int code_bits(KvType type) {
  switch (type) {
    case KvType::kUniform2b:
    case KvType::kTurboKv2b:
      return 2;
    case KvType::kUniform3b:
    case KvType::kTurboKv3b:
      return 3;
    default:
      return 4;
  }
}

class KvValueError : public KvError {};  // formats that bound the error of each value
class KvTurboError : public KvError {};  // formats that bound the error of a row

std::vector<KvCase> cases_of(bool turbo) {
  std::vector<KvCase> cases = all_kv_cases();
  std::erase_if(cases, [&](const KvCase& c) { return (c.type >= KvType::kTurboKv2b) != turbo; });
  return cases;
}

/// The largest error that a block of values may have at x, for all formats but turbo_kv.
double element_bound(KvType type, std::span<const float> block, double x) {
  const auto [low, high] = std::minmax_element(block.begin(), block.end());
  const auto minimum = static_cast<double>(*low);
  const auto maximum = static_cast<double>(*high);
  const double largest = std::max(std::abs(minimum), std::abs(maximum));
  switch (type) {
    case KvType::kFp32:
      return 0.0;
    case KvType::kFp16:
      return std::abs(x) * kHalfUlp + kHalfTiny;
    case KvType::kBf16:
      return std::abs(x) * kBfloatUlp;
    case KvType::kQ8_0:
      return largest / 127.0 / 2.0 * (1.0 + kHalfUlp) + 128.0 * kHalfTiny + largest * kFloatSlack;
    default: {
      const double levels = 1 << code_bits(type);
      const double step = (maximum - minimum) / levels;
      // Half a bin, and how far rounding may move the two ends of the range.
      return step / 2.0 + (levels + 1.0) * (step * kHalfUlp + kHalfTiny) +
             std::abs(minimum) * kHalfUlp + largest * kFloatSlack;
    }
  }
}

std::vector<float> scaled_row(Distribution distribution, int d, std::uint64_t seed, int exponent) {
  std::vector<float> row = random_row(distribution, d, seed);
  for (float& x : row) x = std::ldexp(x, exponent);
  return row;
}

TEST_P(KvValueError, EveryValueIsWithinItsBound) {
  for (const int d : kDims) {
    for (const Distribution distribution : kDistributions) {
      for (const int exponent : {-24, -12, 0, 5}) {
        const std::vector<float> row = scaled_row(distribution, d, 1, exponent);
        const std::vector<float> decoded = round_trip(row);
        for (std::size_t j = 0; j < row.size(); ++j) {
          const std::size_t begin = j / 32 * 32;
          const auto block =
              std::span(row).subspan(begin, std::min<std::size_t>(32, row.size() - begin));
          const auto x = static_cast<double>(row[j]);
          ASSERT_LE(std::abs(static_cast<double>(decoded[j]) - x), element_bound(c.type, block, x))
              << "d " << d << ", 2^" << exponent << ", value " << j << " = " << x;
        }
      }
    }
  }
}

double relative_square_error(const std::vector<float>& row, const std::vector<float>& decoded) {
  double error = 0.0;
  double total = 0.0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    const auto x = static_cast<double>(row[j]);
    error += (static_cast<double>(decoded[j]) - x) * (static_cast<double>(decoded[j]) - x);
    total += x * x;
  }
  return total == 0.0 ? error : error / total;
}

/// Rotated coordinates are close to Gaussian whatever the row is, and the error is that of the
/// Lloyd-Max quantizer. The rotation is fixed: rows that are all alike may be unlucky together.
TEST_P(KvTurboError, RowsHaveTheErrorOfGaussians) {
  const double gaussian_error[] = {0.1175, 0.03455, 0.0095};
  const double bound = gaussian_error[code_bits(c.type) - 2];
  constexpr int kRows = 48;
  for (const int d : kDims) {
    for (const Distribution distribution : kDistributions) {
      double sum = 0.0;
      double worst = 0.0;
      for (std::uint64_t seed = 0; seed < kRows; ++seed) {
        const std::vector<float> row = random_row(distribution, d, seed);
        const double error = relative_square_error(row, round_trip(row));
        sum += error;
        worst = std::max(worst, error);
      }
      const bool alike =
          distribution == Distribution::kConstant || distribution == Distribution::kHugeChannel;
      ASSERT_LE(sum / kRows, (alike ? 1.5 : 1.05) * bound) << "d " << d;
      ASSERT_LE(worst, 6.0 * bound) << "d " << d;
      if (distribution == Distribution::kGaussian) {
        ASSERT_GE(sum / kRows, 0.5 * bound) << d;
      }
    }
  }
}

/// Gains below 2^-14 are subnormal in fp16: their rounding adds to the error, but not more.
TEST_P(KvTurboError, TinyRowsLoseOnlyTheGainsPrecision) {
  for (const int d : {64, 80}) {
    for (int exponent = -40; exponent <= -10; ++exponent) {
      const std::vector<float> row = scaled_row(Distribution::kGaussian, d, 7, exponent);
      const double rms = root_mean_square(row);
      const double rounding = kHalfTiny / rms;
      const double error = relative_square_error(row, round_trip(row));
      ASSERT_LE(error, 2.0 * 0.1175 + 1.1 * rounding * rounding) << "2^" << exponent;
      if (exponent <= -28) {
        ASSERT_EQ(error, 1.0) << "2^" << exponent;
      }
    }
  }
}

TEST_P(KvError, ZerosAndDenormalsDecodeToZeros) {
  for (const int d : kDims) {
    const std::vector<float> zeros(static_cast<std::size_t>(d), 0.0f);
    ASSERT_EQ(round_trip(zeros), zeros) << d;
    if (c.type == KvType::kFp32 || c.type == KvType::kBf16) continue;
    const std::vector<float> denormal(static_cast<std::size_t>(d), 0x1p-140f);
    ASSERT_EQ(round_trip(denormal), zeros) << d;
  }
}

TEST_P(KvValueError, ConstantsOfHalfPrecisionAreExact) {
  // 127 times a power of two is exact in q8_0 as well.
  for (const float constant : {127.0f, -63.5f, 0x1.fcp-9f}) {
    const std::vector<float> row(80, constant);
    ASSERT_EQ(round_trip(row), row) << constant;
  }
}

TEST_P(KvError, NanAndInfinityAreRefused) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInf, -kInf}) {
    for (const int d : {16, 64, 80, 512}) {
      for (const int at : {0, 7, d / 2, d - 1}) {
        std::vector<float> row = random_row(Distribution::kGaussian, d, 1);
        ASSERT_TRUE(encodes(row));
        row[static_cast<std::size_t>(at)] = bad;
        ASSERT_FALSE(encodes(row)) << bad << " at " << at << " of " << d;
        std::vector<float> alone(static_cast<std::size_t>(d), 0.0f);
        alone[static_cast<std::size_t>(at)] = bad;
        ASSERT_FALSE(encodes(alone)) << bad << " at " << at << " of " << d;
      }
    }
  }
}

/// One value of a row of zeros: the largest that fits, and the next one that does not.
TEST_P(KvError, WhatDoesNotFitFp16IsRefused) {
  struct Limit {
    float fits;
    float fails;
  };
  const float maximum = std::numeric_limits<float>::max();
  const auto limit = [&]() -> Limit {
    switch (c.type) {
      case KvType::kFp32:
        return {maximum, std::numeric_limits<float>::infinity()};
      case KvType::kFp16:
        return {65519.996f, 65520.0f};
      case KvType::kBf16:
        return {std::nextafter(0x1.ffp127f, 0.0f), 0x1.ffp127f};
      case KvType::kQ8_0:
        return {127.0f * 65519.0f, 127.0f * 65520.0f};
      case KvType::kUniform2b:
      case KvType::kUniform3b:
      case KvType::kUniform4b: {
        const auto levels = static_cast<float>(1 << code_bits(c.type));
        return {levels * 65519.0f, levels * 65520.0f};
      }
      default:
        return {30000.0f, 1e7f};  // the gain depends on what the rotation makes of the row
    }
  }();
  for (const int d : {16, 64, 80, 512}) {
    std::vector<float> row(static_cast<std::size_t>(d), 0.0f);
    for (const std::size_t at : {std::size_t{3}, row.size() - 1}) {
      row.assign(row.size(), 0.0f);
      row[at] = limit.fits;
      ASSERT_TRUE(encodes(row)) << limit.fits << ", d " << d;
      row[at] = limit.fails;
      ASSERT_FALSE(encodes(row)) << limit.fails << ", d " << d;
      if (c.type == KvType::kFp32 || c.type == KvType::kBf16) continue;
      row[at] = -maximum;
      ASSERT_FALSE(encodes(row)) << d;
    }
    if (c.type == KvType::kFp32 || c.type == KvType::kBf16) continue;
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j % 2 == 0 ? maximum : -maximum;
    ASSERT_FALSE(encodes(row)) << d;  // sums and differences overflow FP32
  }
}

TEST_P(KvTurboError, CodesDoNotDependOnTheRowsScale) {
  for (const int d : {64, 80, 128}) {
    const std::vector<float> row = random_row(Distribution::kHeavyTailed, d, 3);
    std::vector<std::uint8_t> packed(c.row_bytes(d));
    ASSERT_TRUE(c.kernels().encode(row.data(), d, packed.data()));
    for (const int exponent : {-20, -3, 4}) {
      const std::vector<float> scaled = scaled_row(Distribution::kHeavyTailed, d, 3, exponent);
      std::vector<std::uint8_t> other(packed.size());
      ASSERT_TRUE(c.kernels().encode(scaled.data(), d, other.data()));
      ASSERT_TRUE(std::equal(packed.begin() + 2, packed.end(), other.begin() + 2)) << exponent;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, KvError, testing::ValuesIn(all_kv_cases()),
                         testing::PrintToStringParamName());
INSTANTIATE_TEST_SUITE_P(All, KvValueError, testing::ValuesIn(cases_of(false)),
                         testing::PrintToStringParamName());
INSTANTIATE_TEST_SUITE_P(All, KvTurboError, testing::ValuesIn(cases_of(true)),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
