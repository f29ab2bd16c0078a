// Statistics of paired losses: answers of scipy, statsmodels and arch (tests/data/statistics), and
// what must hold of any series.
#include "quant/paired.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/splitmix64.h"
#include "eval/statistics.h"
#include "support/gguf_writer.h"
#include "support/paths.h"

namespace quant::test {
namespace {

const nlohmann::json& golden() {
  static const nlohmann::json json =
      nlohmann::json::parse(read_file(data_dir() / "statistics" / "paired.json"));
  return json;
}

/// Runs of a golden series under one of its weightings.
struct Series {
  Series(const std::string& name, const std::string& weighting)
      : answers(golden()[name][weighting]),
        values(golden()[name]["runs"].get<std::vector<std::vector<double>>>()) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      runs.push_back({values[i], answers["weights"][i].get<double>()});
    }
  }
  double answer(const char* name) const { return answers[name].get<double>(); }

  nlohmann::json answers;
  std::vector<std::vector<double>> values;
  std::vector<PairedRun> runs;
};

void expect_interval(const Interval& interval, const nlohmann::json& expected) {
  // 100,000 resamples against 20,000: the ends of both know themselves to about 2 % of the width.
  const double low = expected[0].get<double>();
  const double high = expected[1].get<double>();
  EXPECT_NEAR(interval.low, low, 0.03 * (high - low));
  EXPECT_NEAR(interval.high, high, 0.03 * (high - low));
}

TEST(Paired, AgreesWithScipyStatsmodelsAndArch) {
  for (const char* weighting : {"plain", "macro"}) {
    const Series series("many", weighting);
    const PairedResult result = compare_paired(series.runs, {.resamples = 19999, .flips = 19999});
    EXPECT_EQ(result.tokens, series.answers["tokens"]);
    EXPECT_EQ(result.blocks, series.answers["blocks"]);
    EXPECT_NEAR(result.delta_nll, series.answer("delta_nll"), 1e-12);
    EXPECT_NEAR(result.standard_error, series.answer("standard_error"), 1e-12);
    EXPECT_NEAR(result.worse_share, series.answer("worse_share"), 1e-12);
    EXPECT_NEAR(result.p_value, series.answer("p_value"), 0.003);  // three errors of 20,000 flips
    expect_interval(result.interval, series.answers["interval"]);
    expect_interval(result.narrow_interval, series.answers["narrow_interval"]);
  }
}

TEST(Paired, FewBlocksAreFlippedInEveryWay) {
  const Series series("few", "plain");
  const PairedResult result = compare_paired(series.runs);
  EXPECT_EQ(result.blocks, 8);
  EXPECT_NEAR(result.delta_nll, series.answer("delta_nll"), 1e-12);
  EXPECT_NEAR(result.standard_error, series.answer("standard_error"), 1e-12);
  EXPECT_DOUBLE_EQ(result.p_value, series.answer("p_value"));
}

TEST(Paired, HolmAgreesWithStatsmodels) {
  const auto p_values = golden()["holm"]["p_values"].get<std::vector<double>>();
  const std::vector<double> adjusted = holm_adjusted(p_values);
  for (std::size_t i = 0; i < p_values.size(); ++i) {
    EXPECT_NEAR(adjusted[i], golden()["holm"]["adjusted"][i].get<double>(), 1e-12) << i;
  }
  EXPECT_TRUE(holm_adjusted({}).empty());
}

TEST(Paired, SampleSizesAgreeWithStatsmodels) {
  const nlohmann::json& expected = golden()["sample_size"];
  const double gap = expected["gap"].get<double>();
  // 6400 tokens whose mean has the error of 6400 independent ones.
  PairedResult result{
      6400,        100,         gap, expected["token_deviation"].get<double>() / 80.0,
      {-1.0, 1.0}, {-1.0, 1.0}, 0.5, 0.5};
  const auto expect_tokens = [&](double margin_percent, const char* name) {
    const Judgement judgement = judge(result, 0.5, margin_percent);
    EXPECT_EQ(judgement.verdict, Verdict::kUnresolved);
    EXPECT_EQ(judgement.tokens_to_resolve % 64, 0);
    EXPECT_NEAR(static_cast<double>(judgement.tokens_to_resolve), expected[name].get<double>(),
                64.0);
  };
  expect_tokens(0.1, "difference");  // the margin is smaller than the difference itself
  expect_tokens(100.0 * std::expm1(2.0 * gap), "equivalence");
}

TEST(Paired, QuantilesAgreeWithNumpy) {
  const nlohmann::json& expected = golden()["percentiles"];
  auto values = expected["values"].get<std::vector<double>>();
  std::ranges::sort(values);
  for (std::size_t i = 0; i < expected["shares"].size(); ++i) {
    EXPECT_NEAR(quantile(values, expected["shares"][i].get<double>()),
                expected["answers"][i].get<double>(), 1e-15);
  }
  EXPECT_EQ(quantile({}, 0.5), 0.0);
  EXPECT_EQ(quantile(std::vector<double>{3.0}, 0.99), 3.0);
}

TEST(Paired, BlocksEndWhereARunEnds) {
  const std::vector<double> values(100, 0.25);
  const PairedRun run{values};
  const auto blocks = [](std::vector<PairedRun> runs) { return compare_paired(runs).blocks; };
  EXPECT_EQ(blocks({run}), 2);
  EXPECT_EQ(blocks({run, run}), 4);
  EXPECT_EQ(blocks({run, {{}}, run}), 4);
}

TEST(Paired, NothingToCompare) {
  const PairedResult none = compare_paired({});
  EXPECT_EQ(none.tokens, 0);
  EXPECT_EQ(none.p_value, 1.0);
  EXPECT_EQ(judge(none, 1.0, 0.5).tokens_to_resolve, 0);

  const std::vector<double> same(64 * 40, 0.0);
  const std::vector<PairedRun> runs = {{same}};
  const PairedResult equal = compare_paired(runs);
  EXPECT_EQ(equal.delta_nll, 0.0);
  EXPECT_EQ(equal.interval.low, 0.0);
  EXPECT_EQ(equal.interval.high, 0.0);
  EXPECT_EQ(equal.p_value, 1.0);
  EXPECT_EQ(equal.worse_share, 0.0);
  EXPECT_EQ(judge(equal, 1.0, 0.5).verdict, Verdict::kEquivalent);
}

TEST(Paired, TooFewBlocksGiveNoInterval) {
  const std::vector<double> values(64 * 3, 0.5);
  const std::vector<PairedRun> runs = {{values}};
  const PairedResult result = compare_paired(runs);
  EXPECT_TRUE(std::isnan(result.interval.low));
  EXPECT_EQ(result.p_value, 0.25);  // two of eight patterns are this extreme
  EXPECT_EQ(judge(result, 0.01, 0.5).verdict, Verdict::kUnresolved);
}

TEST(Paired, Verdicts) {
  const auto verdict = [](Interval interval, Interval narrow, double p) {
    const double middle = 0.5 * (interval.low + interval.high);
    return judge({6400, 100, middle, 0.01, interval, narrow, p, 0.5}, p, 0.5).verdict;
  };
  EXPECT_EQ(verdict({0.01, 0.03}, {0.012, 0.028}, 0.001), Verdict::kWorse);
  EXPECT_EQ(verdict({-0.03, -0.01}, {-0.028, -0.012}, 0.001), Verdict::kBetter);
  // The correction for the table may take a verdict away.
  EXPECT_EQ(verdict({0.01, 0.03}, {0.012, 0.028}, 0.06), Verdict::kUnresolved);
  EXPECT_EQ(verdict({-0.01, 0.03}, {-0.008, 0.028}, 0.3), Verdict::kUnresolved);
  EXPECT_EQ(verdict({-0.004, 0.004}, {-0.003, 0.003}, 0.9), Verdict::kEquivalent);
  // Surely different, and surely not by half a percent.
  EXPECT_EQ(verdict({0.001, 0.003}, {0.0012, 0.0028}, 0.001), Verdict::kEquivalent);
}

/// Differences as KV formats give them: autocorrelated, heavy-tailed and skewed, of mean `mean`.
std::vector<double> synthetic(SplitMix64& random, std::size_t n, double mean, bool skewed) {
  constexpr double kMemory = 0.6;
  std::vector<double> values(n);
  double state = 0.0;
  for (double& value : values) {
    // A Laplace variable times an exponential one: its kurtosis is 33. Squaring one side skews it.
    const double size = std::log1p(-random.uniform()) * std::log1p(-random.uniform());
    const double noise = random.uniform() < 0.5 ? -size : (skewed ? 1.5 * size : size);
    const double bias = skewed ? 0.25 : 0.0;  // of the noise, E[size] = 1
    state = kMemory * state + noise - bias;
    value = mean + state;
  }
  return values;
}

constexpr std::size_t kSeriesTokens = 64 * 64;

TEST(Paired, IntervalsCoverTheTruth) {
#ifdef QUANT_EMULATED
  GTEST_SKIP() << "minutes under an emulator, and no kernel is involved";
#endif
  constexpr int kSeries = 1500;
  constexpr double kTruth = 0.2;
  for (const bool skewed : {false, true}) {
    SplitMix64 random(skewed ? 11 : 12);
    int covered = 0;
    int covered_narrow = 0;
    for (int i = 0; i < kSeries; ++i) {
      const std::vector<double> values = synthetic(random, kSeriesTokens, kTruth, skewed);
      const std::vector<PairedRun> runs = {{values}};
      const PairedResult result = compare_paired(runs, {.resamples = 799, .flips = 1});
      covered += result.interval.low <= kTruth && kTruth <= result.interval.high;
      covered_narrow +=
          result.narrow_interval.low <= kTruth && kTruth <= result.narrow_interval.high;
    }
    const double share = static_cast<double>(covered) / kSeries;
    const double narrow_share = static_cast<double>(covered_narrow) / kSeries;
    EXPECT_GE(share, 0.93) << "skewed: " << skewed;
    EXPECT_LE(share, 0.97) << "skewed: " << skewed;
    EXPECT_NEAR(narrow_share, 0.90, 0.025) << "skewed: " << skewed;
    RecordProperty(skewed ? "skewed" : "symmetric", std::to_string(share));
  }
}

TEST(Paired, PermutationPIsUniformUnderTheNull) {
#ifdef QUANT_EMULATED
  GTEST_SKIP() << "minutes under an emulator, and no kernel is involved";
#endif
  constexpr int kSeries = 1500;
  SplitMix64 random(13);
  std::vector<double> p_values;
  for (int i = 0; i < kSeries; ++i) {
    const std::vector<double> values = synthetic(random, kSeriesTokens, 0.0, false);
    const std::vector<PairedRun> runs = {{values}};
    p_values.push_back(compare_paired(runs, {.resamples = 1, .flips = 999}).p_value);
  }
  std::ranges::sort(p_values);
  double distance = 0.0;  // Kolmogorov and Smirnov's
  for (int i = 0; i < kSeries; ++i) {
    const double p = p_values[static_cast<std::size_t>(i)];
    distance = std::max({distance, std::abs(p - static_cast<double>(i) / kSeries),
                         std::abs(p - static_cast<double>(i + 1) / kSeries)});
  }
  EXPECT_LT(distance, 1.36 / std::sqrt(kSeries));  // 5 % level
  const auto below = std::ranges::count_if(p_values, [](double p) { return p < 0.05; });
  EXPECT_NEAR(static_cast<double>(below) / kSeries, 0.05, 0.015);
}

TEST(Paired, ADifferenceIsFound) {
  SplitMix64 random(14);
  const std::vector<double> values = synthetic(random, kSeriesTokens, 0.5, false);
  std::vector<double> negated = values;
  for (double& v : negated) v = -v;
  const std::vector<PairedRun> worse = {{values}};
  const std::vector<PairedRun> better = {{negated}};
  const PairedResult result = compare_paired(worse);
  EXPECT_EQ(judge(result, result.p_value, 0.5).verdict, Verdict::kWorse);
  EXPECT_EQ(judge(compare_paired(better), result.p_value, 0.5).verdict, Verdict::kBetter);
  EXPECT_EQ(result.p_value, 1e-4);
}

TEST(Paired, TheSameSeedGivesTheSameNumbers) {
  SplitMix64 random(15);
  const std::vector<double> values = synthetic(random, kSeriesTokens, 0.1, true);
  const std::vector<PairedRun> runs = {{values}};
  const PairedResult a = compare_paired(runs);
  const PairedResult b = compare_paired(runs);
  EXPECT_EQ(a.interval.low, b.interval.low);
  EXPECT_EQ(a.interval.high, b.interval.high);
  EXPECT_EQ(a.p_value, b.p_value);
}

TEST(Paired, TheSameTokensTwiceAreNoFurtherEvidence) {
  // What two seeds scored in a stretch of text is one block, so that the answer stays the same.
  SplitMix64 random(11);
  std::vector<double> once, twice;
  for (int block = 0; block < 40; ++block) {
    std::vector<double> part;
    const double common = 0.02 * random.uniform();
    for (int i = 0; i < kBlockTokens; ++i) part.push_back(common + random.uniform() - 0.5);
    once.insert(once.end(), part.begin(), part.end());
    for (int seed = 0; seed < 2; ++seed) twice.insert(twice.end(), part.begin(), part.end());
  }
  const PairedRun one{once};
  const PairedRun two{twice};
  const PairedResult a = compare_paired({&one, 1});
  const PairedResult b = compare_paired({&two, 1}, {.block_tokens = 2 * kBlockTokens});
  EXPECT_EQ(b.blocks, 40);
  EXPECT_NEAR(b.delta_nll, a.delta_nll, 1e-12);
  EXPECT_NEAR(b.standard_error, a.standard_error, 1e-12);
  EXPECT_NEAR(b.interval.low, a.interval.low, 1e-9);
  EXPECT_NEAR(b.interval.high, a.interval.high, 1e-9);
  EXPECT_EQ(b.p_value, a.p_value);
}

}  // namespace
}  // namespace quant::test
