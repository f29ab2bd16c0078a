#include "quant/greedy.h"

#include <algorithm>

#include "eval/statistics.h"
#include "quant/sampler.h"

namespace quant {
namespace {

constexpr std::int64_t kLoopRounds = 3;
constexpr std::int64_t kShortestLoop = 16;

}  // namespace

std::optional<Loop> find_loop(std::span<const Token> tokens) {
  const std::int64_t n = static_cast<std::int64_t>(tokens.size());
  const auto at = [&](std::int64_t i) { return tokens[static_cast<std::size_t>(i)]; };
  for (std::int64_t period = 1; period * kLoopRounds <= n; ++period) {
    std::int64_t start = n - period;
    while (start > 0 && at(start - 1) == at(start - 1 + period)) --start;
    if (n - start >= std::max(kShortestLoop, kLoopRounds * period)) return Loop{start, period};
  }
  return std::nullopt;
}

std::vector<Token> greedy_text(Session& session, std::span<const Token> prompt, int n) {
  const Tokenizer& tokenizer = session.model().tokenizer();
  // A model may have more rows than its tokenizer has tokens; the rest stand for nothing.
  const std::size_t n_tokens = static_cast<std::size_t>(tokenizer.vocab_size());
  Sampler sampler(SamplerOptions{});
  std::vector<Token> text;
  session.reset();
  session.append(prompt);
  while (static_cast<int>(text.size()) < n) {
    text.push_back(sampler.sample(session.logits().first(n_tokens), text));
    if (tokenizer.is_end_of_generation(text.back())) break;
    if (static_cast<int>(text.size()) < n) session.append({&text.back(), 1});
  }
  return text;
}

std::int64_t GreedyComparison::agreed_tokens() const noexcept {
  return first_difference.value_or(static_cast<std::int64_t>(tokens.size()));
}

GreedyComparison compare_greedy(Session& baseline, Session& session, std::span<const Token> prompt,
                                int n) {
  GreedyComparison result{.baseline = greedy_text(baseline, prompt, n),
                          .tokens = greedy_text(session, prompt, n),
                          .first_difference = {},
                          .baseline_loop = {},
                          .loop = {}};
  const auto [theirs, ours] = std::ranges::mismatch(result.baseline, result.tokens);
  if (theirs != result.baseline.end() || ours != result.tokens.end()) {
    result.first_difference = ours - result.tokens.begin();
  }
  result.baseline_loop = find_loop(result.baseline);
  result.loop = find_loop(result.tokens);
  return result;
}

GreedySummary summarize_greedy(std::span<const GreedyComparison> comparisons) {
  GreedySummary summary{};
  std::vector<double> agreed;
  for (const GreedyComparison& c : comparisons) {
    agreed.push_back(static_cast<double>(c.agreed_tokens()));
    summary.identical += c.first_difference.has_value() ? 0 : 1;
    summary.baseline_loops += c.baseline_loop.has_value() ? 1 : 0;
    summary.loops += c.loop.has_value() ? 1 : 0;
  }
  summary.prompts = static_cast<std::int64_t>(comparisons.size());
  summary.agreed_tokens_mean = mean(agreed);
  std::ranges::sort(agreed);
  summary.agreed_tokens_median = quantile(agreed, 0.5);
  return summary;
}

}  // namespace quant
