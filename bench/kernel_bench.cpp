// Every weight type and KV format on every instruction set of this machine, one thread.
//   quant_kernel_bench --benchmark_filter='product_int8/Q4_1/avx512'
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/splitmix64.h"
#include "kernels/kernels.h"

namespace quant {
namespace {

constexpr std::int64_t kColumns = 2048;
constexpr int kPanels = 64;  // 1024 rows: more than the L1 cache, so that decoding reads memory
constexpr int kRows = kPanels * kPanelRows;

/// Random bytes whose half floats are small and finite whatever the format reads as a scale.
std::vector<std::byte> random_rows(std::size_t bytes) {
  SplitMix64 random(1);
  std::vector<std::byte> rows(bytes);
  for (std::byte& b : rows) b = static_cast<std::byte>(random.next() & 0x3b);
  return rows;
}

std::vector<float> random_floats(std::size_t n) {
  SplitMix64 random(2);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.uniform() * 2.0 - 1.0);
  return values;
}

void count_products(benchmark::State& state, int m, std::size_t bytes) {
  const double products = static_cast<double>(m) * kRows * static_cast<double>(kColumns);
  state.counters["Gmul/s"] = benchmark::Counter(
      products * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

/// x [m][cols] quantized in groups.
struct Int8Buffers {
  Int8Buffers(const Kernels& table, const std::vector<float>& x, int n_inputs, int cols)
      : m(n_inputs),
        q(x.size()),
        scale(x.size() / kInt8Block),
        sum(scale.size() * kInt8Sums),
        scaled_sum(scale.size() * kInt8Sums) {
    for (int first = 0; first < m; first += table.int8_group) {
      const auto at = static_cast<std::size_t>(first) * static_cast<std::size_t>(cols);
      table.quantize_int8(
          x.data() + at, std::min(table.int8_group, m - first), cols,
          {q.data() + at, scale.data() + at / kInt8Block, sum.data() + at / kInt8Block * kInt8Sums,
           scaled_sum.data() + at / kInt8Block * kInt8Sums});
    }
  }
  Int8Inputs inputs() const { return {q.data(), scale.data(), sum.data(), scaled_sum.data(), m}; }
  int m;
  std::vector<std::int8_t> q;
  std::vector<float> scale;
  std::vector<std::int32_t> sum;
  std::vector<float> scaled_sum;
};

void run_product(benchmark::State& state, const Kernels& table, const WeightKernels& kernels, int m,
                 bool int8) {
  const TensorTypeInfo& type = tensor_type_info(kernels.type);
  const std::size_t row_bytes =
      static_cast<std::size_t>(kColumns) / type.block_values * type.block_bytes;
  const std::vector<std::byte> rows = random_rows(row_bytes * kRows);
  const std::vector<float> x = random_floats(static_cast<std::size_t>(m) * kColumns);
  const Int8Buffers int8_inputs(table, x, m, kColumns);
  const std::size_t panel_bytes = kernels.panel_bytes(kColumns);
  AlignedBuffer<std::byte> panels(kPanels * panel_bytes);
  for (std::size_t panel = 0; panel < kPanels; ++panel) {
    kernels.pack(rows.data() + panel * kPanelRows * row_bytes, row_bytes, kPanelRows, kColumns,
                 panels.data() + panel * panel_bytes);
  }
  std::vector<float> out(static_cast<std::size_t>(m) * kPanelRows);
  for (auto _ : state) {
    for (std::size_t panel = 0; panel < kPanels; ++panel) {
      const std::byte* first = panels.data() + panel * panel_bytes;
      if (int8) {
        kernels.product_int8(first, kColumns, int8_inputs.inputs(), out.data(), kPanelRows);
      } else {
        // What the numbers are does not matter: they need not be interleaved.
        kernels.product(first, kColumns, {x.data(), m}, out.data(), kPanelRows);
      }
      benchmark::DoNotOptimize(out.data());
    }
  }
  count_products(state, m, rows.size());
}

enum class KvStep { kScore, kScoreInt, kAccumulate, kAccumulateInt };
constexpr const char* kKvStepNames[] = {"score", "score_int", "accumulate", "accumulate_int"};

/// Rows of a KV format, as many as one chunk of attention, with `queries` heads sharing them.
void run_kv(benchmark::State& state, const KvKernels& kernels, const KvFormatInfo& format, int dim,
            int queries, KvStep step) {
  constexpr int kPositions = 256;
  constexpr int kStride = kPositions + 16;
  const std::size_t row_bytes = format.row_bytes(dim);
  const std::vector<float> values = random_floats(static_cast<std::size_t>(dim));
  std::vector<std::uint8_t> packed(row_bytes);
  AlignedBuffer<std::uint8_t> rows(row_bytes * kPositions);  // as in a KvStore
  const bool scores = step == KvStep::kScore || step == KvStep::kScoreInt;
  const auto put = scores ? kernels.put_key : kernels.put_value;
  for (int i = 0; i < kPositions; ++i) {
    kernels.encode(values.data(), dim, packed.data());
    put(packed.data(), dim, i, rows.data());
  }
  std::vector<float> heads = random_floats(static_cast<std::size_t>(queries * dim));
  std::vector<std::uint8_t> codes(kv_code_bytes(queries, dim));
  std::vector<float> scale(heads.size() / 16);
  std::vector<float> total(heads.size() / 16);
  std::vector<std::int32_t> sum(heads.size() / 16);
  const KvIntQueries ints{codes.data(), scale.data(), sum.data(), total.data()};
  if (step == KvStep::kScoreInt) {
    for (int h = 0; h < queries; ++h) {
      kernels.prepare_query_int(heads.data() + h * dim, dim, h, ints);
    }
  }
  // Sums would reach infinity, and weights that are multiplied by gains again and again zero.
  std::vector<float> weights(static_cast<std::size_t>(queries) * kStride, 0.0f);
  for (auto _ : state) {
    if (step == KvStep::kScore) {
      kernels.score(rows.data(), kPositions, dim, heads.data(), queries, weights.data(), kStride,
                    {});
    } else if (step == KvStep::kScoreInt) {
      kernels.score_int(rows.data(), kPositions, dim, ints, queries, weights.data(), kStride, {});
    } else if (step == KvStep::kAccumulateInt) {
      kernels.accumulate_int(rows.data(), 0, kPositions, dim, weights.data(), kStride, queries,
                             heads.data(), {});
    } else {
      kernels.accumulate(rows.data(), kPositions, dim, weights.data(), kStride, queries,
                         heads.data(), {});
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kPositions);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(rows.size()));
}

/// The weights of one chunk of three queries whose scores spread as widely as `spread` says.
void run_softmax(benchmark::State& state, const Kernels& table, float spread) {
  constexpr int kPositions = 256;
  constexpr int kQueries = 3;
  std::vector<float> scores = random_floats(kQueries * kPositions);
  for (float& s : scores) s *= spread;
  std::vector<float> weights(scores.size());
  float exponent[kQueries];
  float sum[kQueries];
  for (auto _ : state) {
    std::ranges::copy(scores, weights.begin());
    table.softmax_part(weights.data(), kPositions, kQueries, kPositions, exponent, sum, {});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kQueries * kPositions);
}

void run_encode(benchmark::State& state, const KvKernels& kernels, const KvFormatInfo& format,
                int dim) {
  const std::vector<float> values = random_floats(static_cast<std::size_t>(dim));
  std::vector<std::uint8_t> row(format.row_bytes(dim));
  for (auto _ : state) {
    kernels.encode(values.data(), dim, row.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}

void register_weights(const Kernels& table) {
  for (int i = 0; i < table.n_weights; ++i) {
    const WeightKernels& kernels = table.weights[i];
    for (const int m : {1, 512}) {
      for (const bool int8 : {false, true}) {
        if (int8 && kernels.product_int8 == nullptr) continue;
        const std::string name =
            fmt::format("{}/{}/{}/m={}", int8 ? "product_int8" : "product",
                        tensor_type_info(kernels.type).name, isa_name(table.isa), m);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [&table, &kernels, m, int8](benchmark::State& state) {
                                       run_product(state, table, kernels, m, int8);
                                     });
      }
    }
  }
}

void register_softmax(const Kernels& table) {
  for (const float spread : {5.0f, 50.0f}) {
    benchmark::RegisterBenchmark(
        fmt::format("softmax_part/{}/spread={}", isa_name(table.isa), spread).c_str(),
        [&table, spread](benchmark::State& s) { run_softmax(s, table, spread); });
  }
}

void register_kv(const Kernels& table) {
  for (const KvFormatInfo& format : kv_formats()) {
    const KvKernels& kernels = kv_kernels(table, format.type);
    for (const int dim : {64, 128, 256}) {
      const auto name = [&](const char* what, int queries) {
        return fmt::format("{}/{}/{}/d={}/queries={}", what, format.name, isa_name(table.isa), dim,
                           queries);
      };
      benchmark::RegisterBenchmark(
          name("encode", 0).c_str(),
          [&kernels, &format, dim](benchmark::State& s) { run_encode(s, kernels, format, dim); });
      for (const int queries : {1, 3, 48}) {
        for (const KvStep step :
             {KvStep::kScore, KvStep::kScoreInt, KvStep::kAccumulate, KvStep::kAccumulateInt}) {
          const bool ints = step == KvStep::kScoreInt || step == KvStep::kAccumulateInt;
          if (ints && kernels.score_int == nullptr) continue;
          benchmark::RegisterBenchmark(
              name(kKvStepNames[static_cast<int>(step)], queries).c_str(),
              [&kernels, &format, dim, queries, step](benchmark::State& s) {
                run_kv(s, kernels, format, dim, queries, step);
              });
        }
      }
    }
  }
}

}  // namespace
}  // namespace quant

int main(int argc, char** argv) {
  for (const quant::Isa isa : quant::available_isas()) {
    quant::register_weights(quant::kernels_for(isa));
    quant::register_softmax(quant::kernels_for(isa));
    quant::register_kv(quant::kernels_for(isa));
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
