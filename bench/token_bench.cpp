// Decoding with several caches of one model in turn, token by token, in one process: whole runs
// scatter by more than a window costs.
//   quant_token_bench MODEL.gguf DEPTH TOKENS SPEC...
// SPEC as in compare (turbo_kv_4b/turbo_kv_4b@window=128; one name alone leaves values in fp16).
// Prints milliseconds a token and how much more each takes than the first, the median of the
// differences.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/to_size.h"
#include "eval/statistics.h"
#include "quant/bench.h"
#include "quant/error.h"
#include "quant/session.h"

namespace quant {
namespace {

constexpr int kThreads = 2;  // as in docs/performance.md
constexpr int kSteps = 32;   // positions behind the depth, after which it is gone back to

/// A session that holds `depth` tokens, and what each token after them took.
class Cache {
 public:
  Cache(const std::shared_ptr<const Model>& model, const std::string& spec, int depth)
      : name(spec),
        depth_(depth),
        tokens_(bench_tokens(depth + kSteps, model->config().n_vocab)),
        session_(model, {.kv = parse_kv_spec(spec, {}),
                         .context = depth + kSteps,
                         .reserve = depth + kSteps,
                         .threads = kThreads,
                         .math = MathMode::kFast}) {
    session_.append(std::span(tokens_).first(to_size(depth)));
    mark_.emplace(session_.mark());
  }

  void decode(int step) {
    if (step == 0) session_.rewind(*mark_);
    const auto begin = std::chrono::steady_clock::now();
    session_.append(std::span(tokens_).subspan(to_size(depth_ + step), 1));
    session_.logits();
    const std::chrono::duration<double, std::milli> taken =
        std::chrono::steady_clock::now() - begin;
    milliseconds.push_back(taken.count());
  }

  std::string name;
  std::vector<double> milliseconds;

 private:
  int depth_;
  std::vector<Token> tokens_;
  Session session_;
  std::optional<Session::Mark> mark_;
};

/// 0 if it is no whole number.
int count_of(std::string_view text) {
  int n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc() && end == text.data() + text.size() ? n : 0;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return quantile(values, 0.5);
}

void run(const std::string& path, int depth, int tokens, std::span<char*> specs) {
  const auto model = Model::load(path, {.threads = kThreads});
  std::vector<std::unique_ptr<Cache>> caches;
  for (const char* spec : specs) caches.push_back(std::make_unique<Cache>(model, spec, depth));
  for (int i = 0; i < tokens; ++i) {
    // Who comes first changes from token to token.
    for (std::size_t c = 0; c < caches.size(); ++c) {
      caches[(c + to_size(i)) % caches.size()]->decode(i % kSteps);
    }
  }
  const std::vector<double>& first = caches.front()->milliseconds;
  for (const auto& cache : caches) {
    std::vector<double> more = cache->milliseconds;
    for (std::size_t i = 0; i < more.size(); ++i) more[i] -= first[i];
    fmt::print("{:40s} median {:.3f} ms, minimum {:.3f}, more than the first {:+.3f} ({:+.1f} %)\n",
               cache->name, median(cache->milliseconds),
               *std::ranges::min_element(cache->milliseconds), median(more),
               100.0 * median(more) / median(first));
  }
}

}  // namespace
}  // namespace quant

int main(int argc, char** argv) {
  const int depth = argc > 4 ? quant::count_of(argv[2]) : 0;
  const int tokens = argc > 4 ? quant::count_of(argv[3]) : 0;
  if (depth < 1 || tokens < 1) {
    fmt::print(stderr, "usage: quant_token_bench MODEL.gguf DEPTH TOKENS SPEC...\n");
    return 2;
  }
  try {
    quant::run(argv[1], depth, tokens, std::span(argv, quant::to_size(argc)).subspan(4));
  } catch (const quant::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "not enough memory for a depth of {}\n", depth);
    return 1;
  }
  return 0;
}
