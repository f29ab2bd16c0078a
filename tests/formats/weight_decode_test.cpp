#include <set>

#include "formats/weight_reference.h"

namespace quant::test {
namespace {

class WeightDecodeTest : public WeightTest {};

TEST(WeightRegistry, HasEverySupportedTypeOnceOnEveryIsa) {
  for (const Isa isa : available_isas()) {
    const Kernels& table = kernels_for(isa);
    std::set<TensorType> types;
    for (int i = 0; i < table.n_weights; ++i) types.insert(table.weights[i].type);
    EXPECT_EQ(static_cast<int>(types.size()), table.n_weights) << isa_name(isa);
    for (std::uint32_t number = 0; number < 64; ++number) {
      EXPECT_EQ(types.count(static_cast<TensorType>(number)),
                tensor_type_supported(number) ? 1u : 0u)
          << isa_name(isa) << " " << tensor_type_name(number);
    }
  }
}

TEST_P(WeightDecodeTest, OnlyQuantizedTypesMultiplyInt8) {
  const bool floats = tensor_type_info(GetParam().type).block_values == 1;
  EXPECT_EQ(GetParam().kernels().product_int8 == nullptr, floats);
}

TEST_P(WeightDecodeTest, DecodesEveryValueAsDefined) {
  const WeightCase c = GetParam();
  for (const std::int64_t cols : column_counts(c.type)) {
    const StoredRows rows(c.type, 2, cols, static_cast<std::uint64_t>(cols));
    std::vector<float> out(static_cast<std::size_t>(cols) + 1, -7.0f);
    c.kernels().decode_row(rows.row(1), cols, out.data());
    for (std::int64_t k = 0; k < cols; ++k) {
      const auto expected = static_cast<float>(stored_value(c.type, rows.row(1), k).value());
      ASSERT_EQ(out[static_cast<std::size_t>(k)], expected) << "value " << k << " of " << cols;
    }
    EXPECT_EQ(out.back(), -7.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(All, WeightDecodeTest, testing::ValuesIn(weight_cases()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
