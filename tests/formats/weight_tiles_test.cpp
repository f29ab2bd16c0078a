// Fast products with a matrix unit, on every machine: tiles in plain C++ stand in for AMX's.
#include <gtest/gtest.h>

#include "formats/weight/kernels.h"
#include "formats/weight/quantize_int8.h"
#include "formats/weight_reference.h"
#include "simd/scalar.h"

namespace quant::test {
namespace {

/// Small groups: sixteen inputs of sixteen lanes take the compiler minutes.
struct PlainTiles : Scalar {
  static constexpr int kInt8Rows = 4;
  static constexpr int kInt8Columns = 32;

  template <int Columns>
  class Tiles {
   public:
    explicit Tiles(int rest) : inputs_{kInt8Rows, rest} {}
    template <int Slot>
    void sum(const std::int8_t* x, const std::int32_t (*w)[16], std::int32_t (*out)[16]) const {
      for (int i = 0; i < inputs_[Slot]; ++i) {
        for (int r = 0; r < 16; ++r) {
          out[i][r] = 0;
          for (int k = 0; k < Columns; ++k) {
            const auto* four = reinterpret_cast<const std::int8_t*>(&w[k / 4][r]);
            out[i][r] += x[i * kInt8Columns + k] * four[k % 4];
          }
        }
      }
    }

   private:
    int inputs_[2];
  };
};

constexpr auto kTileWeights = make_weight_kernels<PlainTiles>();

Kernels table_with_tiles() {
  Kernels table = kernels_for(Isa::kScalar);
  table.weights = kTileWeights.entry;
  table.int8_group = PlainTiles::kInt8Rows;
  table.int8_columns = PlainTiles::kInt8Columns;
  table.quantize_int8 = QuantizeInt8<PlainTiles>::quantize;
  return table;
}

std::vector<float> products(const Kernels& table, const StoredRows& rows,
                            const std::vector<float>& x, int m) {
  const WeightKernels& kernels = weight_kernels(table, rows.type);
  const QuantizedInputs inputs(table, x, m, rows.cols);
  std::vector<float> out(static_cast<std::size_t>(m * kPanelRows));
  kernels.product_int8(Panel(kernels, rows, kPanelRows).data(), rows.cols, inputs.inputs(),
                       out.data(), kPanelRows);
  return out;
}

TEST(WeightTilesTest, SameBitsAsScalarForEveryFormatAndBatch) {
  const Kernels tiles = table_with_tiles();
  int formats = 0;
  for (int i = 0; i < tiles.n_weights; ++i) {
    if (tiles.weights[i].product_int8 == nullptr) continue;
    ++formats;
    for (const std::int64_t cols : column_counts(tiles.weights[i].type)) {
      const StoredRows rows(tiles.weights[i].type, kPanelRows, cols, 20);
      for (const int m : {1, 2, 3, 4, 5, 8, 11, 13}) {
        const std::vector<float> x = random_inputs(static_cast<std::size_t>(m * cols), 78);
        ASSERT_EQ(products(tiles, rows, x, m), products(kernels_for(Isa::kScalar), rows, x, m))
            << tensor_type_info(rows.type).name << ", " << m << " inputs of " << cols;
      }
    }
  }
  EXPECT_EQ(formats, QuantizedWeights<PlainTiles>::kCount);
}

}  // namespace
}  // namespace quant::test
