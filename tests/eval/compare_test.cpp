// Comparisons on lock-step results that are written by hand, and one that is measured.
#include "quant/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/splitmix64.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

/// A baseline and one configuration with the given differences, in windows of the given lengths.
LockstepResult result_of(const std::vector<double>& deltas, std::vector<std::int64_t> run_lengths) {
  LockstepResult result;
  std::vector<TokenLoss> baseline;
  std::vector<TokenLoss> other;
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    baseline.push_back({2.0, 7});
    other.push_back({2.0 + deltas[i], i % 4 == 0 ? 8 : 7});
  }
  const std::vector<Token> targets(deltas.size(), 1);
  result.configurations = {summarize(baseline, targets, run_lengths, 1.0),
                           summarize(other, targets, run_lengths, 1.0)};
  result.divergences = {std::vector<double>(deltas.size(), 0.0), {}};
  for (const double d : deltas) result.divergences[1].push_back(std::abs(d));
  for (const std::int64_t n : run_lengths) {
    for (std::int64_t i = 1; i <= n; ++i) result.positions.push_back(i);
  }
  result.run_lengths = std::move(run_lengths);
  return result;
}

std::vector<double> noise(std::size_t n, double mean, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<double> values(n);
  for (double& v : values) v = mean + random.uniform() - 0.5;
  return values;
}

TEST(Compare, TextsArePooledByTokenAndAveragedByText) {
  const std::vector<LockstepResult> texts = {result_of(noise(640, 0.0, 1), {320, 320}),
                                             result_of(noise(64 * 30, 0.4, 2), {64 * 30})};
  const Comparison by_token = compare(texts, 0.5).front();
  const Comparison by_text = compare_macro(texts, 0.5).front();
  const auto mean_delta = [](const LockstepResult& r) {
    return r.configurations[1].mean_nll - 2.0;
  };
  EXPECT_EQ(by_token.paired.tokens, 640 + 1920);
  EXPECT_EQ(by_token.paired.blocks, 10 + 30);
  EXPECT_NEAR(by_token.paired.delta_nll, 0.25 * mean_delta(texts[0]) + 0.75 * mean_delta(texts[1]),
              1e-12);
  EXPECT_NEAR(by_text.paired.delta_nll, 0.5 * mean_delta(texts[0]) + 0.5 * mean_delta(texts[1]),
              1e-12);
  const LockstepResult all = pooled(texts);
  EXPECT_EQ(all.run_lengths, (std::vector<std::int64_t>{320, 320, 1920}));
  EXPECT_EQ(compare({&all, 1}, 0.5).front().paired.delta_nll, by_token.paired.delta_nll);
  EXPECT_EQ(all.configurations[1].scored_tokens, 2560);
  EXPECT_EQ(by_token.judgement.verdict, Verdict::kWorse);
}

TEST(Compare, DivergenceIsSummarized) {
  std::vector<double> deltas(1000, 0.0);
  for (std::size_t i = 0; i < deltas.size(); ++i) deltas[i] = static_cast<double>(i) / 999.0;
  const DivergenceSummary d = divergence_of(result_of(deltas, {1000}), 1);
  EXPECT_NEAR(d.kl_mean, 0.5, 1e-12);
  EXPECT_NEAR(d.kl_p50, 0.5, 1e-12);
  EXPECT_NEAR(d.kl_p90, 0.9, 1e-12);
  EXPECT_NEAR(d.kl_p95, 0.95, 1e-12);
  EXPECT_NEAR(d.kl_p99, 0.99, 1e-12);
  EXPECT_NEAR(d.kl_p999, 0.999, 1e-12);
  EXPECT_EQ(d.kl_max, 1.0);
  EXPECT_EQ(d.same_top1, 0.75);
  const double halved = std::exp(-2.0) * 0.5;
  EXPECT_NEAR(divergence_of(result_of(std::vector<double>(64, std::log(2.0)), {64}), 1).delta_p_rms,
              halved, 1e-12);
}

TEST(Compare, PositionsFallIntoBins) {
  EXPECT_EQ(log_edges(12), (std::vector<std::int64_t>{1, 2, 3, 4, 6, 8, 12, 16}));
  EXPECT_EQ(log_edges(1), (std::vector<std::int64_t>{1, 2, 3}));
  // Two windows, so that positions 1 to 4 occur twice.
  const LockstepResult result = result_of({1, 2, 3, 4, 5, 6, 10, 20, 30, 40}, {6, 4});
  const std::vector<PositionBin> bins = position_bins(result, 1, log_edges(6));
  ASSERT_EQ(bins.size(), 5u);  // 1, 2, 3, 4 to 5, 6 to 7
  EXPECT_EQ(bins[0].tokens, 2);
  EXPECT_DOUBLE_EQ(bins[0].delta_nll, 5.5);
  EXPECT_DOUBLE_EQ(bins[0].mean_nll, 7.5);
  EXPECT_DOUBLE_EQ(bins[0].kl_mean, 5.5);
  EXPECT_EQ(bins[3].begin, 4);
  EXPECT_EQ(bins[3].end, 6);
  EXPECT_EQ(bins[3].tokens, 3);
  EXPECT_DOUBLE_EQ(bins[3].delta_nll, 49.0 / 3.0);
  EXPECT_EQ(bins[4].tokens, 1);
}

TEST(Compare, MeasuresWhatSingleRunsMeasure) {
  const TempDir dir;
  const auto model = Model::load(write_tiny_model(dir.path(), tiny_spec("gemma3")));
  std::vector<Token> text;
  for (int i = 0; i < 150; ++i) text.push_back((i * 37) % 250);
  const std::vector<KvSpec> specs = {parse_kv_spec("fp32/fp32", {}),
                                     parse_kv_spec("turbo_kv_3b/q8_0@window=16", {})};
  for (const PlanOptions& options :
       {PlanOptions{.context = 40}, PlanOptions{.protocol = Protocol::kLlamaCpp, .context = 64},
        PlanOptions{.protocol = Protocol::kStrided, .context = 50, .stride = 30}}) {
    const EvalPlan plan = plan_evaluation(*model, text, options);
    const SessionOptions session{.kv = {}, .context = plan.session_context, .batch = 16};
    Lockstep lockstep(model, session, specs);
    std::int64_t last = 0;
    const LockstepResult result =
        measure_lockstep(lockstep, plan, [&](std::int64_t done, std::int64_t) { last = done; });
    EXPECT_EQ(last, plan.run_tokens());
    EXPECT_EQ(result.run_lengths.size(), plan.windows.size());
    EXPECT_EQ(static_cast<std::int64_t>(result.positions.size()), plan.scored_tokens());
    for (std::size_t c = 0; c < specs.size(); ++c) {
      SessionOptions own = session;
      own.kv = specs[c];
      Session single(model, own);
      const PerplexityResult expected = measure_perplexity(single, plan);
      EXPECT_EQ(result.configurations[c].targets, expected.targets);
      EXPECT_EQ(result.configurations[c].mean_nll, expected.mean_nll);
      EXPECT_EQ(result.configurations[c].standard_error, expected.standard_error);
    }
  }
}

}  // namespace
}  // namespace quant::test
