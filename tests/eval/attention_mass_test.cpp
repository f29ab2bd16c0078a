#include "quant/attention_mass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/splitmix64.h"
#include "quant/compare.h"
#include "quant/exact_mass.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

std::shared_ptr<const Model> sliding_model() {
  const TempDir dir;
  return Model::load(write_tiny_model(dir.path(), tiny_spec("gemma3")));
}

std::vector<Token> some_text(int n) {
  SplitMix64 random(3);
  std::vector<Token> text;
  for (int i = 0; i < n; ++i) text.push_back(static_cast<Token>(random.below(256)));
  return text;
}

ModelConfig one_head() {
  ModelConfig config;
  config.n_heads = config.n_kv_heads = 1;
  config.layers.resize(1);
  return config;
}

/// A row over all keys up to a position.
void show(AttentionObserver& observer, std::int64_t position, const std::vector<double>& weights) {
  observer.observe({0, 0, 0, position, weights});
}

double total(const MassProfile& profile) {
  return std::accumulate(profile.behind.begin(), profile.behind.end(), 0.0) +
         std::accumulate(profile.first.begin(), profile.first.end(), 0.0);
}

TEST(AttentionMass, ByDistanceAndOnTheFirstTokens) {
  AttentionMass mass(one_head(), 8, {.from = 2, .first = 1, .windows = {}});
  show(mass, 1, {0.5, 0.5});  // too early
  show(mass, 2, {0.5, 0.2, 0.3});
  show(mass, 4, {0.25, 0.0, 0.125, 0.375, 0.25});
  const MassProfile p = mass.head(0, 0);
  EXPECT_EQ(mass.queries(), 2);
  ASSERT_EQ(p.bins.size(), 8u);
  for (int b = 0; b < 8; ++b) {
    EXPECT_EQ(p.bins[std::size_t(b)].begin, b);
    EXPECT_EQ(p.bins[std::size_t(b)].end, b + 1);
  }
  EXPECT_EQ(p.behind, (std::vector<double>{0.55, 0.575, 0.125, 0, 0, 0, 0, 0}));
  EXPECT_EQ(p.first, (std::vector<double>{0, 0, 0.5, 0, 0.25, 0, 0, 0}));
  EXPECT_EQ(p.pairs, (std::vector<double>{2, 2, 1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(p.keys, (std::vector<double>{0.75, 0.2, 0.425, 0.375}));
  EXPECT_DOUBLE_EQ(share_of_first(p, 1), 0.375);
  EXPECT_DOUBLE_EQ(share_of_first(p, 4), 0.875);
  EXPECT_DOUBLE_EQ(share_within(p, 2), 0.5625);
  EXPECT_DOUBLE_EQ(share_within(p, 3), 0.875);
  EXPECT_DOUBLE_EQ(share_within_and_first(p, 2), 0.9375);
  EXPECT_DOUBLE_EQ(share_within_and_first(p, 0), 0.375);
  EXPECT_DOUBLE_EQ(share_within(p, 8), 1.0);
  EXPECT_EQ(window_that_holds(p, 0.5, false), 2);
  EXPECT_EQ(window_that_holds(p, 0.57, false), 3);
  EXPECT_EQ(window_that_holds(p, 0.9, false), 5);
  EXPECT_EQ(window_that_holds(p, 0.3, true), 0);
  EXPECT_EQ(window_that_holds(p, 0.5, true), 1);
  EXPECT_EQ(window_that_holds(p, 0.9, true), 2);
  EXPECT_EQ(window_that_holds(p, 1.0, true), 3);
  EXPECT_EQ(window_that_holds(p, 1.0, false), 5);
}

TEST(AttentionMass, ASlidingWindowHidesTheFirstTokens) {
  AttentionMass mass(one_head(), 8, {.from = 0, .first = 3, .windows = {}});
  show(mass, 4, {0.5, 0.25, 0.25});  // sees 2, 3, 4
  const MassProfile p = mass.head(0, 0);
  EXPECT_EQ(p.keys, (std::vector<double>{0, 0, 0.5, 0.25}));
  EXPECT_EQ(p.first, (std::vector<double>{0, 0, 0.5, 0, 0, 0, 0, 0}));
  EXPECT_EQ(p.behind, (std::vector<double>{0.25, 0.25, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(p.pairs, (std::vector<double>{1, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(AttentionMass, BinsAreASmallPartOfAnOctaveAndHaveTheWindowsAsEdges) {
  const AttentionMass mass(one_head(), 8000, {.windows = {500, 2500, 9000}});
  const MassProfile p = mass.head(0, 0);
  EXPECT_LT(p.bins.size(), 300u);
  EXPECT_EQ(p.bins.front().begin, 0);
  EXPECT_EQ(p.bins.back().end, 8000);
  int edges = 0;
  for (std::size_t b = 0; b < p.bins.size(); ++b) {
    const auto [begin, end] = p.bins[b];
    EXPECT_EQ(begin, b > 0 ? p.bins[b - 1].end : 0);
    EXPECT_LE(static_cast<double>(end - begin), std::max(1.0, static_cast<double>(begin) / 31.9));
    edges += static_cast<int>(begin == 500 || begin == 2500);
  }
  EXPECT_EQ(edges, 2);
  const MassProfile coarse = in_half_octaves(p);
  const std::vector<std::int64_t> expected = log_edges(7999);
  ASSERT_EQ(coarse.bins.size(), expected.size());
  EXPECT_EQ(coarse.bins[0].end, 1);
  for (std::size_t b = 1; b < coarse.bins.size(); ++b) {
    EXPECT_EQ(coarse.bins[b].begin, expected[b - 1]);
    EXPECT_EQ(coarse.bins[b].end, std::min<std::int64_t>(8000, expected[b]));
  }
}

TEST(AttentionMass, CoarseBinsHoldTheSameMass) {
  AttentionMass mass(one_head(), 300, {.first = 4, .windows = {150}});
  std::vector<double> row(300);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = 1.0 / double(300 - i);
  show(mass, 299, row);
  const MassProfile fine = mass.head(0, 0);
  const MassProfile coarse = in_half_octaves(fine);
  double expected = 0.0;
  for (int d = 96; d < 128; ++d) expected += 1.0 / (d + 1.0);
  EXPECT_NEAR(coarse.behind[13], expected, 1e-14);
  EXPECT_EQ(coarse.bins[13].begin, 96);
  EXPECT_NEAR(total(coarse), total(fine), 1e-13);
  EXPECT_EQ(coarse.pairs.back(), 300.0 - 4 - 256);
  EXPECT_EQ(share_of_first(coarse, 2), share_of_first(fine, 2));
}

TEST(AttentionMass, FindsAKnownPowerLawBehindTheFirstTokens) {
  AttentionMass mass(one_head(), 4096, {.from = 2000, .first = 2, .windows = {}});
  for (std::int64_t t = 2000; t < 4096; t += 61) {
    std::vector<double> row(std::size_t(t + 1));
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = 0.05 * std::pow(double(t) - double(i) + 1e-9, -1.2);
    }
    row[0] = row[1] = 0.3;  // would bend the curve
    row.back() = 0.1;       // the query's own key has no place on it
    show(mass, t, row);
  }
  const auto fit = fit_distance(mass.head(0, 0));
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR(fit->exponent, -1.2, 0.01);
  EXPECT_NEAR(fit->scale, 0.05, 0.002);
  EXPECT_LT(fit->rms_log, 0.02);
  EXPECT_GT(fit->r_squared, 0.999);
}

TEST(AttentionMass, MassesOfEveryHeadAddUpToTheQueries) {
  const auto model = sliding_model();
  const EvalPlan plan = plan_evaluation(*model, some_text(400), {.context = 150});
  const auto measure = [&](int batch, int threads, AttentionMass& mass) {
    measure_attention(model,
                      {.kv = parse_kv_spec("q8_0/q8_0@window=10", {}),
                       .context = plan.session_context,
                       .batch = batch,
                       .threads = threads},
                      plan, mass);
  };
  const AttentionMassOptions counted{.from = 20, .first = 4, .windows = {}};
  AttentionMass mass(model->config(), plan.context, counted);
  AttentionMass other(model->config(), plan.context, counted);
  measure(64, 2, mass);
  measure(7, 1, other);
  // Windows of 150, 150 and the 103 that are left, BOS included: queries 20 to 148, and to 101.
  EXPECT_EQ(mass.queries(), 129 + 129 + 82);
  for (int layer = 0; layer < 3; ++layer) {
    for (int head = 0; head < 4; ++head) {
      const MassProfile p = mass.head(layer, head);
      EXPECT_NEAR(total(p), 340.0, 1e-9);
      EXPECT_EQ(p.rows, 340.0);
      EXPECT_EQ(p.behind, other.head(layer, head).behind);
      EXPECT_EQ(p.first, other.head(layer, head).first);
      EXPECT_EQ(p.keys, other.head(layer, head).keys);
      if (model->config().layers[std::size_t(layer)].sliding_window > 0) {
        EXPECT_EQ(share_within(p, 32), share_within(p, 150));
      } else {
        EXPECT_LT(share_within(p, 32), 0.9);
      }
    }
    EXPECT_NEAR(total(mass.layer(layer)), 4 * 340.0, 1e-9);
  }
}

TEST(AttentionMass, CountsScoredQueriesAlone) {
  const auto model = sliding_model();
  const EvalPlan plan =
      plan_evaluation(*model, some_text(200), {.protocol = Protocol::kLlamaCpp, .context = 64});
  AttentionMass mass(model->config(), plan.context, {});
  measure_attention(model, {.kv = {}, .context = 64, .batch = 64}, plan, mass);
  EXPECT_EQ(mass.queries(), plan.scored_tokens());
  EXPECT_EQ(mass.queries(), 3 * 31);
}

TEST(ExactMass, ByTheViewRule) {
  const KvSpec specs[] = {parse_kv_spec("turbo_kv_4b/fp16@k-window=2:v-window=1:sink=1", {}),
                          parse_kv_spec("fp32/q8_0", {})};
  ExactMass mass(one_head(), specs);
  EXPECT_EQ(mass.share(0).queries, 0);
  const std::vector<double> early = {0.25, 0.75};
  const std::vector<double> late = {0.5, 0.125, 0.25, 0.0625, 0.0625};
  for (int s = 0; s < 2; ++s) {
    mass.observe({s, 0, 0, 1, early});
    mass.observe({s, 0, 0, 4, late});
  }
  EXPECT_EQ(mass.share(0).queries, 2);
  EXPECT_EQ(mass.share(0).keys, (1.0 + 0.625) / 2);
  EXPECT_EQ(mass.share(0).values, (1.0 + 0.5625) / 2);
  EXPECT_EQ(mass.share(1).keys, 1.0);
  EXPECT_EQ(mass.share(1).values, 0.0);
  const ExactMassShare both = pooled({0.5, 0.25, 30}, {1.0, 0.75, 10});
  EXPECT_DOUBLE_EQ(both.keys, 0.625);
  EXPECT_DOUBLE_EQ(both.values, 0.375);
  EXPECT_EQ(both.queries, 40);
  EXPECT_EQ(pooled({}, {}).keys, 0.0);
}

TEST(ExactMass, OfASessionIsWhatTheMassByDistanceSays) {
  const auto model = sliding_model();
  const EvalPlan plan = plan_evaluation(*model, some_text(120), {});
  const KvSpec spec = parse_kv_spec("q8_0/q8_0@k-window=24:v-window=6:sink=2", {});
  SessionOptions options{.kv = spec, .context = plan.session_context, .batch = 50, .threads = 2};
  ExactMass exact(model->config(), {&spec, 1});
  options.observer = &exact;
  Session session(model, options);
  measure_perplexity(session, plan);
  AttentionMass mass(model->config(), plan.context, {.from = 0, .first = 2, .windows = {}});
  measure_attention(model, options, plan, mass);
  EXPECT_EQ(exact.share(0).queries, mass.queries());
  MassProfile all = mass.layer(0);
  for (int layer = 1; layer < model->config().n_layers; ++layer) all.add(mass.layer(layer));
  EXPECT_NEAR(exact.share(0).keys, share_within_and_first(all, 24), 1e-12);
  EXPECT_NEAR(exact.share(0).values, share_within_and_first(all, 6), 1e-12);
  EXPECT_LT(exact.share(0).values, exact.share(0).keys);
}

}  // namespace
}  // namespace quant::test
