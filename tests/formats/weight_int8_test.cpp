// Fast products: int8 inputs.
#include <algorithm>
#include <cmath>

#include "formats/weight_reference.h"

namespace quant::test {
namespace {

constexpr float kGuard = 12345.0f;
constexpr std::size_t kOutStride = 19;

QuantizedInputs random_quantized(const Kernels& table, int m, std::int64_t cols) {
  return {table, random_inputs(static_cast<std::size_t>(m) * static_cast<std::size_t>(cols), 77), m,
          cols};
}

/// Sets every value to v and the sums with them.
void fill(QuantizedInputs& x, std::int8_t v) {
  std::fill(x.q.begin(), x.q.end(), v);
  for (std::size_t s = 0; s < x.sum.size(); ++s) {
    const std::size_t group_sums = s / static_cast<std::size_t>(x.m) % kInt8Sums;
    x.sum[s] = v * (group_sums == 2 ? 32 : 16);
  }
  for (std::int64_t i = 0; i < x.m; ++i) {
    for (std::int64_t b = 0; b < x.cols / kInt8Block; ++b) {
      for (int part = 0; part < kInt8Sums; ++part) {
        const auto at = static_cast<std::size_t>((b * kInt8Sums + part) * x.m + i);
        x.scaled_sum[at] = x.block_scale(i, b) * static_cast<float>(x.sum[at]);
      }
    }
  }
}

std::vector<float> run(const WeightKernels& kernels, const StoredRows& rows, int n_rows,
                       const Int8Inputs& x) {
  std::vector<float> out(static_cast<std::size_t>(x.m) * kOutStride, kGuard);
  kernels.product_int8(Panel(kernels, rows, n_rows).data(), rows.cols, x, out.data(), kOutStride);
  return out;
}

void expect_exact(const WeightKernels& kernels, const StoredRows& rows, const QuantizedInputs& x) {
  const std::vector<float> out = run(kernels, rows, kPanelRows, x.inputs());
  for (int i = 0; i < x.m; ++i) {
    for (int r = 0; r < kPanelRows; ++r) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (std::int64_t k = 0; k < rows.cols; ++k) {
        const StoredValue w = stored_value(rows.type, rows.row(r), k);
        const double input = static_cast<double>(x.block_scale(i, k / kInt8Block)) * x.code(i, k);
        sum += input * w.value();
        magnitude += std::abs(input) * (std::abs(w.scale * w.code) + std::abs(w.minimum));
      }
      const auto got = static_cast<double>(
          out[static_cast<std::size_t>(i) * kOutStride + static_cast<std::size_t>(r)]);
      ASSERT_NEAR(got, sum, 2e-6 * magnitude)
          << "input " << i << " row " << r << " of " << rows.cols;
    }
  }
}

class WeightInt8Test : public WeightTest {};

TEST_P(WeightInt8Test, ProductIsNearTheExactOne) {
  const WeightCase c = GetParam();
  for (const std::int64_t cols : column_counts(c.type)) {
    const StoredRows rows(c.type, kPanelRows, cols, 15);
    expect_exact(c.kernels(), rows, random_quantized(c.table(), 13, cols));
  }
}

TEST_P(WeightInt8Test, LargestCodesDoNotSaturate) {
  const WeightCase c = GetParam();
  StoredRows rows(c.type, kPanelRows, 256, 16);
  // A single input and a whole group have kernels of their own.
  QuantizedInputs one = random_quantized(c.table(), 1, 256);
  QuantizedInputs group = random_quantized(c.table(), c.table().int8_group, 256);
  // A code byte 0x80 is -128 in Q8_0 and 0x7f is 127; 0xff is the largest code elsewhere. Half
  // floats stay.
  const std::uint32_t block_bytes = tensor_type_info(c.type).block_bytes;
  const HalfOffsets offsets = half_offsets(c.type);
  for (const std::byte code : {std::byte{0x80}, std::byte{0x7f}, std::byte{0xff}, std::byte{0}}) {
    for (std::size_t i = 0; i < rows.bytes.size(); ++i) {
      const int at = static_cast<int>(i % block_bytes);
      const bool half = at / 2 * 2 == offsets.scale || at / 2 * 2 == offsets.minimum;
      if (!half) rows.bytes.data()[i] = code;
    }
    for (const std::int8_t q : {std::int8_t{127}, std::int8_t{-127}}) {
      for (QuantizedInputs* x : {&one, &group}) {
        fill(*x, q);
        expect_exact(c.kernels(), rows, *x);
      }
    }
  }
}

TEST_P(WeightInt8Test, SameBitsForEveryBatchAndOnScalar) {
  const WeightCase c = GetParam();
  for (const std::int64_t cols : column_counts(c.type)) {
    const StoredRows rows(c.type, kPanelRows, cols, 17);
    const std::vector<float> x = random_inputs(static_cast<std::size_t>(64 * cols), 77);
    const QuantizedInputs all(kernels_for(Isa::kScalar), x, 64, cols);
    const std::vector<float> expected = run(c.scalar(), rows, kPanelRows, all.inputs());
    for (const int m : {1, 2, 3, 5, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 64}) {
      const std::vector<float> last(x.end() - m * cols, x.end());
      const QuantizedInputs some(c.table(), last, m, cols);
      const std::vector<float> out = run(c.kernels(), rows, kPanelRows, some.inputs());
      for (int i = 0; i < m; ++i) {
        for (std::size_t r = 0; r < kOutStride; ++r) {
          ASSERT_EQ(out[static_cast<std::size_t>(i) * kOutStride + r],
                    expected[static_cast<std::size_t>(64 - m + i) * kOutStride + r])
              << "m " << m << " input " << i << " row " << r << " of " << cols;
        }
      }
    }
  }
}

TEST_P(WeightInt8Test, SlicesOfWholeGroupsGiveTheSameBits) {
  const WeightCase c = GetParam();
  const std::int64_t cols = column_counts(c.type).back();
  const StoredRows rows(c.type, kPanelRows, cols, 19);
  const QuantizedInputs x = random_quantized(c.table(), 49, cols);
  const std::vector<float> expected = run(c.kernels(), rows, kPanelRows, x.inputs());
  for (int first = 0; first < x.m; first += x.group) {
    for (const int count : {x.group, x.m - first}) {
      if (first + count > x.m) continue;
      const std::vector<float> out =
          run(c.kernels(), rows, kPanelRows, x.inputs().slice(first, count, cols));
      const auto from = expected.begin() + first * static_cast<std::ptrdiff_t>(kOutStride);
      ASSERT_TRUE(std::equal(out.begin(), out.end(), from)) << first << " " << count;
    }
  }
}

TEST_P(WeightInt8Test, FewRowsEqualThoseOfSixteen) {
  const WeightCase c = GetParam();
  const std::int64_t cols = column_counts(c.type)[1];
  const StoredRows rows(c.type, kPanelRows, cols, 18);
  const QuantizedInputs x = random_quantized(c.table(), 2, cols);
  const std::vector<float> expected = run(c.kernels(), rows, kPanelRows, x.inputs());
  for (int n_rows = 1; n_rows <= kPanelRows; ++n_rows) {
    const StoredRows few(c.type, n_rows, cols, 18);
    const std::vector<float> out = run(c.kernels(), few, n_rows, x.inputs());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t r = i % kOutStride;
      if (r < static_cast<std::size_t>(kPanelRows)) {  // lanes without a row repeat the last one
        const std::size_t last = std::min(r, static_cast<std::size_t>(n_rows) - 1);
        ASSERT_EQ(out[i], expected[i - r + last]) << n_rows << " rows, row " << r;
      } else {
        ASSERT_EQ(out[i], kGuard);
      }
    }
  }
}

std::vector<WeightCase> int8_cases() {
  std::vector<WeightCase> cases;
  for (const WeightCase& c : weight_cases()) {
    if (c.kernels().product_int8 != nullptr) cases.push_back(c);
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, WeightInt8Test, testing::ValuesIn(int8_cases()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
