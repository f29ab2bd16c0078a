// Fast math with a matrix unit, on every machine: tiles in plain C++ stand in for AMX's.
#include <gtest/gtest.h>

#include <algorithm>

#include "formats/kv/accumulate_int8.h"
#include "formats/kv/all.h"
#include "formats/kv_rows.h"
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
  static constexpr int kInt8SumColumns = 2;
  static constexpr bool kInt8SumWords = false;

  template <int Columns, class X = std::int8_t>
  class Tiles {
   public:
    explicit Tiles(int rest) : inputs_{kInt8Rows, rest} {}
    template <int Slot>
    void clear() {
      for (auto& sums : sums_) std::ranges::fill(sums, 0);
    }
    template <int Slot>
    void add(const void* x, std::size_t x_stride, const void* w, std::size_t w_stride) {
      const auto* rows = static_cast<const X*>(x);
      const auto* codes = static_cast<const std::int8_t*>(w);
      for (int i = 0; i < inputs_[Slot]; ++i) {
        for (std::size_t r = 0; r < 16; ++r) {
          for (std::size_t k = 0; k < Columns; ++k) {
            sums_[i][r] += rows[static_cast<std::size_t>(i) * x_stride + k] *
                           codes[k / 4 * w_stride + 4 * r + k % 4];
          }
        }
      }
    }
    template <int Slot>
    void store(std::int32_t (*out)[16]) {
      for (int i = 0; i < inputs_[Slot]; ++i) std::ranges::copy(sums_[i], out[i]);
    }

   private:
    int inputs_[2];
    std::int32_t sums_[16][16];
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

TEST(TilesTest, ProductsHaveScalarsBitsForEveryFormatAndBatch) {
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

template <class Format>
void expect_scalars_sums(KvType type) {
  const KvKernels& scalar = kv_kernels(kernels_for(Isa::kScalar), type);
  for (const int d : {16, 64, 80}) {
    for (const int n : {1, 64, 70, 200}) {
      const PackedRows rows({Isa::kScalar, type}, n, d);
      for (const int queries : {2, 4, 7}) {
        std::vector<float> weights = random_inputs(static_cast<std::size_t>(queries * n), 79);
        for (float& w : weights) w = std::abs(w);
        std::vector<float> sums(static_cast<std::size_t>(queries * d));
        std::vector<float> expected = sums;
        const auto stride = static_cast<std::size_t>(n);
        KvAccumulateInt8<PlainTiles, Format>::run(rows.as_values(), 0, n, d, weights.data(), stride,
                                                  queries, sums.data(), {});
        scalar.accumulate_int(rows.as_values(), 0, n, d, weights.data(), stride, queries,
                              expected.data(), {});
        ASSERT_EQ(sums, expected) << "d " << d << ", n " << n << ", " << queries << " queries";
      }
    }
  }
}

TEST(TilesTest, SumsOfValuesHaveScalarsBits) {
  expect_scalars_sums<KvTurbo4b<PlainTiles>>(KvType::kTurboKv4b);
  expect_scalars_sums<KvUniform2b<PlainTiles>>(KvType::kUniform2b);
  expect_scalars_sums<KvQ8_0<PlainTiles>>(KvType::kQ8_0);
}

}  // namespace
}  // namespace quant::test
