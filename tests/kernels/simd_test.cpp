// Every operation of the vocabulary on every instruction set of this machine, bit for bit the same
// as Scalar; and Scalar against plain definitions where it is not one itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/half.h"
#include "base/splitmix64.h"
#include "kernels/simd_ops.h"
#include "quant/cpu.h"
#include "support/print.h"

namespace quant::test {

extern const SimdOpList kSimdOpsScalar;
extern const SimdOpList kSimdOpsAvx2;
extern const SimdOpList kSimdOpsAvxVnni;
extern const SimdOpList kSimdOpsAvx512;
extern const SimdOpList kSimdOpsAmx;
extern const SimdOpList kSimdOpsNeon;

namespace {

const SimdOpList& simd_ops(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAmx:
      return kSimdOpsAmx;
    case Isa::kAvx512:
      return kSimdOpsAvx512;
    case Isa::kAvxVnni:
      return kSimdOpsAvxVnni;
    case Isa::kAvx2:
      return kSimdOpsAvx2;
#elif defined(__aarch64__)
    case Isa::kNeon:
      return kSimdOpsNeon;
#endif
    default:
      return kSimdOpsScalar;
  }
}

const SimdOp& find_op(Isa isa, const std::string& name) {
  const SimdOpList& list = simd_ops(isa);
  return *std::find_if(list.ops, list.ops + list.count,
                       [&](const SimdOp& op) { return op.name == name; });
}

constexpr float kSpecial[] = {0.0f,
                              -0.0f,
                              1.0f,
                              -1.0f,
                              65504.0f,
                              65519.996f,
                              65520.0f,
                              -65536.0f,
                              0x1p-24f,
                              0x1p-25f,
                              -0x1.8p-25f,
                              0x1.ffcp-15f,
                              0x1p-149f,
                              -0x1.fffffcp-127f,
                              std::numeric_limits<float>::max(),
                              -std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()};

float any_float(SplitMix64& random) {
  if (random.below(8) == 0) return kSpecial[random.below(std::size(kSpecial))];
  if (random.below(4) == 0) return std::bit_cast<float>(static_cast<std::uint32_t>(random.next()));
  return static_cast<float>(random.uniform() * 8.0 - 4.0);
}

float float_in(SimdDomain domain, SplitMix64& random) {
  float f = any_float(random);
  switch (domain) {
    case SimdDomain::kRoundable:
      return static_cast<float>(static_cast<int>(random.below(1 << 23)) - (1 << 22) + 1) *
             (random.below(2) == 0 ? 0.5f : 0.125f);
    case SimdDomain::kScalable:
      return std::ldexp(static_cast<float>(random.uniform()) + 1.0f,
                        static_cast<int>(random.below(120)) - 60) *
             (random.below(2) == 0 ? 1.0f : -1.0f);
    case SimdDomain::kNoNan:
      while (std::isnan(f)) f = any_float(random);
      return f;
    default:
      return f;
  }
}

SimdInput random_input(SimdDomain domain, SplitMix64& random) {
  SimdInput in;
  for (auto& row : in.f) {
    for (float& f : row) f = float_in(domain, random);
  }
  for (auto& row : in.i) {
    for (std::int32_t& i : row) {
      i = static_cast<std::int32_t>(random.next());
      if (domain == SimdDomain::kIndices) i &= 15;
      if (domain == SimdDomain::kScalable) i = i % 61;
    }
  }
  const bool extreme = random.below(4) == 0;  // saturation shows only when all are large
  for (std::uint8_t& byte : in.bytes) {
    byte = static_cast<std::uint8_t>(random.next());
    if (domain == SimdDomain::kIndices) byte &= 15;
    if (domain == SimdDomain::kDotProducts && extreme) byte = random.below(4) == 0 ? 0x7f : 0x80;
  }
  for (std::int8_t& x : in.x) {
    x = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
    if (extreme) x = random.below(2) == 0 ? 127 : -127;
  }
  in.n = static_cast<int>(random.below(17));
  return in;
}

SimdOutput run(const SimdOp& op, const SimdInput& in) {
  SimdOutput out;
  std::fill(std::begin(out.f), std::end(out.f), 12345.0f);
  std::fill(std::begin(out.bytes), std::end(out.bytes), std::uint8_t{0xa5});
  op.run(in, out);
  return out;
}

bool same(const SimdOutput& a, const SimdOutput& b) {
  for (std::size_t i = 0; i < std::size(a.f); ++i) {
    if (std::isnan(a.f[i]) && std::isnan(b.f[i])) continue;
    if (std::bit_cast<std::uint32_t>(a.f[i]) != std::bit_cast<std::uint32_t>(b.f[i])) return false;
  }
  return std::equal(std::begin(a.bytes), std::end(a.bytes), std::begin(b.bytes));
}

class Simd : public testing::TestWithParam<Isa> {};

TEST_P(Simd, EveryOperationGivesScalarsBits) {
  const SimdOpList& scalar = simd_ops(Isa::kScalar);
  const SimdOpList& list = simd_ops(GetParam());
  ASSERT_EQ(list.count, scalar.count);
  for (std::size_t k = 0; k < list.count; ++k) {
    SplitMix64 random(k);
    int different = 0;
    for (int round = 0; round < 2000; ++round) {
      const SimdInput in = random_input(list.ops[k].domain, random);
      if (!same(run(list.ops[k], in), run(scalar.ops[k], in))) ++different;
    }
    EXPECT_EQ(different, 0) << list.ops[k].name << " on " << isa_name(GetParam());
  }
}

TEST_P(Simd, EveryHalfBecomesItsFloat) {
  const SimdOp& one = find_op(GetParam(), "half");
  const SimdOp& sixteen = find_op(GetParam(), "load_half");
  SimdInput in{};
  for (std::uint32_t first = 0; first < 0x10000; first += 16) {
    for (std::uint32_t n = 0; n < 16; ++n) {
      const std::uint16_t half = static_cast<std::uint16_t>(first + n);
      in.i[0][n] = half;
      std::memcpy(in.bytes + 1 + 2 * n, &half, sizeof half);
    }
    const SimdOutput a = run(one, in);
    const SimdOutput b = run(sixteen, in);
    for (std::uint32_t n = 0; n < 16; ++n) {
      const float expected = half_to_float(static_cast<std::uint16_t>(first + n));
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(a.f[n]) && std::isnan(b.f[n])) << first + n;
      } else {
        ASSERT_EQ(std::signbit(a.f[n]), std::signbit(expected));
        ASSERT_EQ(a.f[n], expected) << first + n;
        ASSERT_EQ(b.f[n], expected) << first + n;
      }
    }
  }
}

/// Each half, its neighbours' midpoints, and the floats beside both.
TEST_P(Simd, FloatsRoundToTheNearestHalf) {
  const SimdOp& one = find_op(GetParam(), "to_half");
  const SimdOp& sixteen = find_op(GetParam(), "store_half");
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (std::uint16_t h = 0; h < 0x7c00; ++h) {
    const float low = half_to_float(h);
    const float high = h == 0x7bff ? 65536.0f : half_to_float(static_cast<std::uint16_t>(h + 1));
    const float tie = low + (high - low) / 2.0f;
    const float inputs[] = {low, std::nextafter(tie, 0.0f), tie, std::nextafter(tie, kInf), high};
    const int even = h % 2 == 0 ? h : h + 1;
    const int expected[] = {h, h, even, h + 1, h + 1};
    SimdInput in{};
    for (int n = 0; n < 5; ++n) {
      in.f[0][n] = inputs[n];
      in.f[0][n + 8] = -inputs[n];
    }
    const SimdOutput a = run(one, in);
    const SimdOutput b = run(sixteen, in);
    for (int n = 0; n < 5; ++n) {
      for (const int sign : {0, 1}) {
        std::uint16_t got[2];
        std::memcpy(&got[0], a.bytes + 2 * (n + 8 * sign), 2);
        std::memcpy(&got[1], b.bytes + 1 + 2 * (n + 8 * sign), 2);
        ASSERT_EQ(got[0], expected[n] | sign << 15) << inputs[n];
        ASSERT_EQ(got[1], expected[n] | sign << 15) << inputs[n];
      }
    }
  }
}

TEST_P(Simd, NanStaysNanInHalf) {
  const SimdOp& one = find_op(GetParam(), "to_half");
  const SimdOp& sixteen = find_op(GetParam(), "store_half");
  SimdInput in{};
  for (int n = 0; n < 16; ++n)
    in.f[0][n] = std::bit_cast<float>(0x7f800001u << (n / 8) | 0x7f800000u);
  const SimdOutput a = run(one, in);
  const SimdOutput b = run(sixteen, in);
  for (int n = 0; n < 16; ++n) {
    std::uint16_t got[2];
    std::memcpy(&got[0], a.bytes + 2 * n, 2);
    std::memcpy(&got[1], b.bytes + 1 + 2 * n, 2);
    EXPECT_TRUE(std::isnan(half_to_float(got[0]))) << n;
    EXPECT_TRUE(std::isnan(half_to_float(got[1]))) << n;
  }
}

TEST_P(Simd, CodesAreALittleEndianBitString) {
  const SimdOp& op = find_op(GetParam(), "unpack");
  struct Codes {
    int bits;
    int offset;  // as the operation reads them
  };
  constexpr Codes kCodes[] = {{2, 2}, {3, 3}, {4, 5}, {8, 13}};
  SplitMix64 random(9);
  for (int round = 0; round < 100; ++round) {
    const SimdInput in = random_input(SimdDomain::kAny, random);
    const SimdOutput out = run(op, in);
    for (int i = 0; i < 4; ++i) {
      const auto [bits, offset] = kCodes[i];
      for (int n = 0; n < 16; ++n) {
        std::int32_t expected = 0;
        for (int bit = 0; bit < bits; ++bit) {
          const int at = n * bits + bit;
          expected |= (in.bytes[offset + at / 8] >> (at % 8) & 1) << bit;
        }
        std::int32_t got;
        std::memcpy(&got, out.bytes + 64 * i + 4 * n, sizeof got);
        ASSERT_EQ(got, expected) << bits << " bits, code " << n;
      }
    }
  }
}

TEST_P(Simd, DotProductsAreExact) {
  const SimdOp& op = find_op(GetParam(), "dot4");
  SplitMix64 random(10);
  for (int round = 0; round < 1000; ++round) {
    const SimdInput in = random_input(SimdDomain::kDotProducts, random);
    const SimdOutput out = run(op, in);
    for (int n = 0; n < 16; ++n) {
      std::int32_t expected = 0;
      for (int k = 0; k < 64; ++k) {
        expected += static_cast<std::int8_t>(in.bytes[64 * (k / 4 % 4) + 4 * n + k % 4]) * in.x[k];
      }
      std::int32_t got;
      std::memcpy(&got, out.bytes + 4 * n, sizeof got);
      ASSERT_EQ(got, expected) << n;
    }
  }
}

TEST_P(Simd, RunningSumsHoldTheLargestProducts) {
  const SimdOp& op = find_op(GetParam(), "dot4_bits");
  for (const std::int8_t x : {std::int8_t{127}, std::int8_t{-127}}) {
    SimdInput in{};
    std::fill(std::begin(in.bytes), std::end(in.bytes), std::uint8_t{0xff});
    std::fill(std::begin(in.x), std::end(in.x), x);
    const SimdOutput out = run(op, in);
    for (int bits = 1; bits <= 7; ++bits) {
      for (int n = 0; n < 16; ++n) {
        std::int32_t got;
        std::memcpy(&got, out.bytes + 64 * (bits - 1) + 4 * n, sizeof got);
        ASSERT_EQ(got, 64 * ((1 << bits) - 1) * x) << bits << " bits";
      }
    }
  }
}

TEST_P(Simd, NearestIntegerIsEvenForTies) {
  const SimdOp& op = find_op(GetParam(), "to_int");
  SimdInput in{};
  for (int n = 0; n < 16; ++n) in.f[0][n] = static_cast<float>(n - 8) + 0.5f;
  const SimdOutput out = run(op, in);
  for (int n = 0; n < 16; ++n) {
    std::int32_t got;
    std::memcpy(&got, out.bytes + 4 * n, sizeof got);
    EXPECT_EQ(got, n % 2 == 0 ? n - 8 : n - 7) << in.f[0][n];
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Simd, testing::ValuesIn(available_isas()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
