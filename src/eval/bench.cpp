#include "quant/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/aligned_buffer.h"
#include "base/parallel.h"
#include "base/splitmix64.h"
#include "base/to_size.h"
#include "eval/statistics.h"
#include "kernels/kernels.h"
#include "kv/cache.h"
#include "model/weights.h"
#include "quant/error.h"

namespace quant {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Shortest time of `repetitions` runs.
template <class Work>
double best_seconds(int repetitions, const Work& work) {
  double best = INFINITY;
  for (int i = 0; i < repetitions; ++i) {
    const auto begin = Clock::now();
    work();
    best = std::min(best, seconds_since(begin));
  }
  return best;
}

/// Sums 1 GiB of memory that no cache holds, fetched as far ahead as the weights are: without, some
/// processors read a quarter less. A share of this above 1 means that weights stay in a cache.
double read_bandwidth(std::size_t fetch_ahead, int threads) {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  constexpr std::int64_t kPieces = 256;
  AlignedBuffer<std::uint64_t> memory(kBytes / sizeof(std::uint64_t));
  std::vector<std::uint64_t> sums(kPieces);
  const std::int64_t words = static_cast<std::int64_t>(memory.size()) / kPieces;
  // By the threads that read it: where a page lies may depend on who touches it first.
  parallel_for(threads, kPieces, [&](std::int64_t piece, int) {
    std::fill_n(memory.data() + piece * words, words, 1u);
  });
  const double seconds = best_seconds(5, [&] {
    parallel_for(threads, kPieces, [&](std::int64_t piece, int) {
      const std::uint64_t* first = memory.data() + piece * words;
      std::uint64_t sum[8] = {};
      for (std::int64_t i = 0; i < words; i += 8) {
        __builtin_prefetch(reinterpret_cast<const std::byte*>(first + i) + fetch_ahead, 0, 2);
        for (int lane = 0; lane < 8; ++lane) sum[lane] += first[i + lane];
      }
      for (const std::uint64_t s : sum) sums[to_size(piece)] += s;
    });
  });
  return static_cast<double>(kBytes) / seconds;
}

double burst_rate(float (*burst)(std::int64_t), int products, int threads) {
  constexpr std::int64_t kSteps = 4'000'000;
  std::vector<float> results(to_size(threads));
  const double seconds = best_seconds(3, [&] {
    parallel_for(threads, threads,
                 [&](std::int64_t task, int) { results[to_size(task)] = burst(kSteps); });
  });
  return static_cast<double>(kSteps) * products * threads / seconds;
}

Rate rate_of(std::vector<double> seconds, int tokens) {
  std::ranges::sort(seconds);
  const double median = quantile(seconds, 0.5);
  return {tokens / median, tokens / seconds.back(), tokens / seconds.front()};
}

/// Bytes of packed and exact rows that the query at position `depth` reads.
std::size_t cache_bytes_read(const Session& session, int depth) {
  const ModelConfig& config = session.model().config();
  const KvSpec& kv = session.options().kv;
  std::size_t bytes = 0;
  for (const LayerConfig& layer : config.layers) {
    const auto side_bytes = [&](const KvSide& side, int dim) {
      const QueryView view = query_view(side, layer.sliding_window, depth);
      const auto rows = [](PositionRange range) { return to_size(range.end - range.begin); };
      const std::size_t exact_row = to_size(dim) * sizeof(float);
      const std::size_t head = rows(view.packed) * kv_format_info(side.type).row_bytes(dim) +
                               (rows(view.sink) + rows(view.window)) * exact_row;
      return head * to_size(config.n_kv_heads);
    };
    bytes += side_bytes(kv.key, config.key_dim) + side_bytes(kv.value, config.value_dim);
  }
  return bytes;
}

}  // namespace

MachineLimits measure_machine(Isa isa, int threads) {
  const Kernels& kernels = kernels_for(isa);
  return {read_bandwidth(kernels.fetch_ahead, threads),
          burst_rate(kernels.float_burst, kernels.float_burst_products, threads),
          burst_rate(kernels.int8_burst, kernels.int8_burst_products, threads)};
}

std::vector<Token> bench_tokens(int n, int n_vocab) {
  SplitMix64 random(1);
  std::vector<Token> tokens(to_size(n));
  for (Token& token : tokens) {
    token = static_cast<Token>(random.below(static_cast<std::uint64_t>(n_vocab)));
  }
  return tokens;
}

namespace {

/// Says how many of the tokens of a measurement are done.
class Steps {
 public:
  Steps(const BenchProgress& progress, std::int64_t total) : progress_(progress), total_(total) {}
  void add(int tokens) {
    done_ += tokens;
    if (progress_) progress_(done_, total_);
  }

 private:
  const BenchProgress& progress_;
  std::int64_t total_;
  std::int64_t done_ = 0;
};

/// In pieces, so that something is seen of it.
void fill(Session& session, std::span<const Token> tokens, Steps& steps) {
  session.reset();
  while (!tokens.empty()) {
    const std::size_t n = std::min(tokens.size(), to_size(session.options().batch));
    session.append(tokens.first(n));
    steps.add(static_cast<int>(n));
    tokens = tokens.subspan(n);
  }
}

void count_products(const Session& session, int prefill, BenchResult& result) {
  const Kernels& kernels = kernels_for(session.options().isa);
  const auto add = [&](const Matrix& w, int inputs) {
    const bool int8 = session.options().math == MathMode::kFast &&
                      weight_kernels(kernels, w.type).product_int8 != nullptr;
    double& products = int8 ? result.prefill_int8_products : result.prefill_float_products;
    products += static_cast<double>(w.rows) * static_cast<double>(w.cols) * inputs;
  };
  const ModelWeights& weights = session.model().weights();
  for (const LayerWeights& layer : weights.layers) {
    for (const Matrix* w : layer.matrices()) add(*w, prefill);
  }
  if (prefill > 0) add(weights.output, 1);
}

}  // namespace

BenchResult measure_speed(Session& session, int depth, const BenchOptions& options,
                          const BenchProgress& progress) {
  if (options.repetitions < 1) {
    throw Error(ErrorKind::kUsage, "a speed needs at least one repetition");
  }
  const Model& model = session.model();
  const int most = std::max(options.prefill, options.decode);
  const std::vector<Token> tokens = bench_tokens(depth + most, model.config().n_vocab);
  const std::span<const Token> timed = std::span(tokens).subspan(to_size(depth));
  const auto prefill = [&] {
    session.append(timed.first(to_size(options.prefill)));
    session.logits();
  };
  const auto decode = [&] {
    for (int i = 0; i < options.decode; ++i) {
      session.append(timed.subspan(to_size(i), 1));
      session.logits();
    }
  };
  // The first round warms caches and is not counted.
  const std::int64_t rounds = std::int64_t{options.repetitions} + 1;
  Steps steps(progress, depth + rounds * (options.prefill + options.decode));
  fill(session, std::span(tokens).first(to_size(depth)), steps);
  const Session::Mark mark = session.mark();
  std::vector<double> prefill_seconds;
  std::vector<double> decode_seconds;
  for (std::int64_t round = 0; round < rounds; ++round) {
    const auto time = [&](const auto& work, int n, std::vector<double>& seconds) {
      if (n == 0) return;
      session.rewind(mark);
      const auto begin = Clock::now();
      work();
      if (round > 0) seconds.push_back(seconds_since(begin));
      steps.add(n);
    };
    time(prefill, options.prefill, prefill_seconds);
    time(decode, options.decode, decode_seconds);
  }
  BenchResult result{.depth = depth,
                     .prefill = {},
                     .decode = {},
                     .cache_bytes = session.cache_memory().allocated,
                     .decode_weight_bytes = model.weights().panels.size(),
                     .decode_cache_bytes = cache_bytes_read(session, depth),
                     .prefill_float_products = 0.0,
                     .prefill_int8_products = 0.0};
  if (options.prefill > 0) result.prefill = rate_of(std::move(prefill_seconds), options.prefill);
  if (options.decode > 0) result.decode = rate_of(std::move(decode_seconds), options.decode);
  count_products(session, options.prefill, result);
  return result;
}

}  // namespace quant
