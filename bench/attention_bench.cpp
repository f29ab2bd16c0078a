// Attention over all layers of a model like SmolLM2-135M at a depth, without the model: what one
// decoded token, or a batch, spends on its cache. Whole runs scatter more than attention changes.
//   quant_attention_bench --benchmark_filter='turbo_kv_4b/avx512/window=0/tokens=1/'
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/splitmix64.h"
#include "base/to_size.h"
#include "engine/attention.h"

namespace quant {
namespace {

constexpr int kDepth = 7680;
constexpr int kThreads = 2;  // as in docs/performance.md

ModelConfig config() {
  ModelConfig c;
  c.n_layers = 30;
  c.n_heads = 9;
  c.n_kv_heads = 3;
  c.key_dim = c.value_dim = 64;
  c.layers.resize(to_size(c.n_layers));
  return c;
}

std::vector<float> random_floats(std::size_t n, float largest) {
  static SplitMix64 random(1);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.uniform() * 2.0 - 1.0) * largest;
  return values;
}

/// A cache that holds kDepth positions, and a batch at the end of it.
class Fixture {
 public:
  Fixture(const KvSpec& spec, Isa isa, int tokens)
      : tokens_(tokens),
        kernels_(kernels_for(isa)),
        cache_(config_, spec, tokens),
        attention_(config_, kernels_, MathMode::kFast, kThreads, tokens),
        queries_(random_floats(to_size(tokens * config_.n_heads * config_.key_dim), 0.25f)),
        rows_(random_floats(to_size(config_.n_kv_heads * tokens * config_.key_dim), 4.0f)),
        out_(queries_.size()) {
    cache_.reserve(kDepth + tokens);
    attention_.reserve(kDepth + tokens);
    for (int layer = 0; layer < config_.n_layers; ++layer) {
      for (KvStore* store : {&cache_.keys(layer), &cache_.values(layer)}) fill(*store);
    }
  }

  void run() {
    with_crew(kThreads, [&] {
      for (int layer = 0; layer < config_.n_layers; ++layer) {
        attention_(cache_.keys(layer), cache_.values(layer),
                   {.first_position = kDepth,
                    .n_tokens = tokens_,
                    .sliding_window = 0,
                    .queries = queries_.data(),
                    .exact_keys = rows_.data(),
                    .exact_values = rows_.data(),
                    .out = out_.data()});
      }
    });
    benchmark::DoNotOptimize(out_.data());
  }

 private:
  void fill(KvStore& store) {
    const KvKernels& kernels = kv_kernels(kernels_, store.side().type);
    const auto dim = to_size(store.head_dim());
    const std::vector<float> rows = random_floats(to_size(config_.n_kv_heads) * dim * 251, 4.0f);
    parallel_for(kThreads, config_.n_kv_heads, [&](std::int64_t head, int) {
      for (std::int64_t position = 0; position < kDepth + tokens_; ++position) {
        const auto row = to_size(position * config_.n_kv_heads + head) % (rows.size() / dim);
        const float* values = rows.data() + row * dim;
        if (!store.encode(kernels, static_cast<int>(head), position, values)) std::abort();
      }
    });
    if (store.side().window == 0) return;
    const auto window = to_size(store.side().window);
    const std::vector<float> exact =
        random_floats(to_size(config_.n_kv_heads) * window * dim, 4.0f);
    store.commit(kDepth - store.side().window, kDepth, exact.data(), window * dim);
  }

  ModelConfig config_ = config();
  int tokens_;
  const Kernels& kernels_;
  KvCache cache_;
  Attention attention_;
  std::vector<float> queries_;
  std::vector<float> rows_;
  std::vector<float> out_;
};

/// What a token reads between two turns of attention: the weights.
void read_weights() {
  // Written once: pages that never were are all the same one.
  static const std::vector<std::uint64_t> weights(std::size_t{96} << 17, 1);
  parallel_for(kThreads, 1024, [&](std::int64_t piece, int) {
    const std::size_t n = weights.size() / 1024;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < n; i += 8) sum += weights.data()[to_size(piece) * n + i];
    benchmark::DoNotOptimize(sum);
  });
}

void run(benchmark::State& state, const std::string& spec, Isa isa, int tokens) {
  Fixture fixture(parse_kv_spec(spec, {}), isa, tokens);
  for (auto _ : state) {
    state.PauseTiming();
    read_weights();
    state.ResumeTiming();
    fixture.run();
  }
}

}  // namespace
}  // namespace quant

int main(int argc, char** argv) {
  for (const quant::Isa isa : quant::available_isas()) {
    if (isa == quant::Isa::kScalar) continue;
    for (const quant::KvFormatInfo& format : quant::kv_formats()) {
      const std::string_view type = format.name;
      for (const int window : {0, 128}) {
        for (const int tokens : {1, 512}) {
          const std::string name =
              fmt::format("{}/{}/window={}/tokens={}", type, quant::isa_name(isa), window, tokens);
          const std::string spec = fmt::format("{0}/{0}@window={1}", type, window);
          benchmark::RegisterBenchmark(
              name.c_str(), [=](benchmark::State& state) { quant::run(state, spec, isa, tokens); })
              ->Unit(benchmark::kMillisecond)
              ->UseRealTime();
        }
      }
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
