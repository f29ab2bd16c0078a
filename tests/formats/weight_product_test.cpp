// Exact products: FP32 inputs.
#include <algorithm>
#include <cmath>

#include "formats/weight_reference.h"

namespace quant::test {
namespace {

constexpr float kGuard = 12345.0f;

/// Inputs [m][cols], and outputs [m][out_stride] with a guard after each row's sixteen.
struct Product {
  Product(const StoredRows& stored, int n_inputs)
      : rows(stored),
        m(n_inputs),
        stride(static_cast<std::size_t>(stored.cols)),
        x(random_inputs(static_cast<std::size_t>(n_inputs) * stride, 99)) {}

  std::vector<float> run(const Kernels& table, int n_rows, int first, int count) const {
    const WeightKernels& kernels = weight_kernels(table, rows.type);
    std::vector<float> inputs(static_cast<std::size_t>(count) * stride);
    for (int i = 0; i < count; i += table.float_group) {
      table.interleave(x.data() + static_cast<std::size_t>(first + i) * stride,
                       std::min(table.float_group, count - i), rows.cols,
                       inputs.data() + static_cast<std::size_t>(i) * stride);
    }
    std::vector<float> out(static_cast<std::size_t>(count) * kOutStride, kGuard);
    kernels.product(Panel(kernels, rows, n_rows).data(), rows.cols, {inputs.data(), count},
                    out.data(), kOutStride);
    return out;
  }

  static constexpr std::size_t kOutStride = 19;
  const StoredRows& rows;
  int m;
  std::size_t stride;
  std::vector<float> x;
};

/// A group of g has column k of all its inputs at k·g, on every instruction set, and nothing
/// beyond.
TEST(Interleave, ColumnsOfAGroupLieTogether) {
  for (const Isa isa : available_isas()) {
    const Kernels& table = kernels_for(isa);
    for (const std::int64_t cols : {16, 48, 576}) {
      for (int g = 1; g <= table.float_group; ++g) {
        const auto n = static_cast<std::size_t>(g * cols);
        const std::vector<float> x = random_inputs(n, 98);
        std::vector<float> out(n + 16, kGuard);
        table.interleave(x.data(), g, cols, out.data());
        for (std::int64_t k = 0; k < cols; ++k) {
          for (int i = 0; i < g; ++i) {
            ASSERT_EQ(out[static_cast<std::size_t>(k * g + i)],
                      x[static_cast<std::size_t>(i * cols + k)])
                << isa_name(isa) << ", input " << i << " of " << g << ", column " << k;
          }
        }
        for (std::size_t i = n; i < out.size(); ++i) ASSERT_EQ(out[i], kGuard);
      }
    }
  }
}

class WeightProductTest : public WeightTest {};

TEST_P(WeightProductTest, ProductIsNearTheDoubleDotProduct) {
  const WeightCase c = GetParam();
  for (const std::int64_t cols : column_counts(c.type)) {
    const StoredRows rows(c.type, kPanelRows, cols, 5);
    const Product product(rows, 3);
    const std::vector<float> out = product.run(c.table(), kPanelRows, 0, 3);
    for (int i = 0; i < 3; ++i) {
      for (int r = 0; r < kPanelRows; ++r) {
        double sum = 0.0;
        double magnitude = 0.0;
        for (std::int64_t k = 0; k < cols; ++k) {
          const auto x = static_cast<double>(
              product
                  .x[static_cast<std::size_t>(i) * product.stride + static_cast<std::size_t>(k)]);
          const double term = x * stored_value(c.type, rows.row(r), k).value();
          sum += term;
          magnitude += std::abs(term);
        }
        const auto got = static_cast<double>(
            out[static_cast<std::size_t>(i) * Product::kOutStride + static_cast<std::size_t>(r)]);
        ASSERT_NEAR(got, sum, 1e-5 * magnitude) << "input " << i << " row " << r << " of " << cols;
      }
    }
  }
}

TEST_P(WeightProductTest, ProductIsOneFmaAStepInOrder) {
  const WeightCase c = GetParam();
  const std::int64_t cols = column_counts(c.type).back();
  const StoredRows rows(c.type, kPanelRows, cols, 6);
  const Product product(rows, 1);
  const std::vector<float> out = product.run(c.table(), kPanelRows, 0, 1);
  for (int r = 0; r < kPanelRows; ++r) {
    float sum = 0.0f;
    for (std::int64_t k = 0; k < cols; ++k) {
      const auto w = static_cast<float>(stored_value(c.type, rows.row(r), k).value());
      sum = std::fma(product.x[static_cast<std::size_t>(k)], w, sum);
    }
    ASSERT_EQ(out[static_cast<std::size_t>(r)], sum) << "row " << r;
  }
}

TEST_P(WeightProductTest, ProductHasTheSameBitsForEveryBatchAndOnScalar) {
  const WeightCase c = GetParam();
  for (const std::int64_t cols : column_counts(c.type)) {
    const StoredRows rows(c.type, kPanelRows, cols, 7);
    const Product product(rows, 64);
    const std::vector<float> expected = product.run(kernels_for(Isa::kScalar), kPanelRows, 0, 64);
    for (const int m : {1, 2, 3, 5, 7, 12, 13, 64}) {
      const std::vector<float> out = product.run(c.table(), kPanelRows, 64 - m, m);
      for (int i = 0; i < m; ++i) {
        const auto at = static_cast<std::size_t>(i) * Product::kOutStride;
        const auto from = static_cast<std::size_t>(64 - m + i) * Product::kOutStride;
        for (std::size_t r = 0; r < Product::kOutStride; ++r) {
          ASSERT_EQ(out[at + r], expected[from + r]) << "m " << m << " input " << i << " row " << r;
        }
      }
    }
  }
}

TEST_P(WeightProductTest, ProductOfFewRowsEqualsThatOfSixteen) {
  const WeightCase c = GetParam();
  const std::int64_t cols = column_counts(c.type)[1];
  const StoredRows rows(c.type, kPanelRows, cols, 8);
  const Product all(rows, 2);
  const std::vector<float> expected = all.run(c.table(), kPanelRows, 0, 2);
  for (int n_rows = 1; n_rows <= kPanelRows; ++n_rows) {
    // A tensor of just these rows, so that reading another one is a crash.
    const StoredRows few(c.type, n_rows, cols, 8);
    const Product product(few, 2);
    const std::vector<float> out = product.run(c.table(), n_rows, 0, 2);
    for (int i = 0; i < 2; ++i) {
      for (int r = 0; r < 19; ++r) {
        const std::size_t at =
            static_cast<std::size_t>(i) * Product::kOutStride + static_cast<std::size_t>(r);
        if (r < kPanelRows) {  // lanes without a row repeat the last one
          const std::size_t row = at - static_cast<std::size_t>(std::max(0, r - n_rows + 1));
          ASSERT_EQ(out[at], expected[row]) << n_rows << " rows, row " << r;
        } else {
          ASSERT_EQ(out[at], kGuard);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, WeightProductTest, testing::ValuesIn(weight_cases()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
