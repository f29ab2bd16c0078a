#include "quant/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "support/expect_error.h"

namespace quant::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

/// No filter at all.
SamplerOptions plain(float temperature = 1.0f) {
  return {.temperature = temperature, .top_k = 0, .top_p = 1.0f, .min_p = 0.0f, .seed = 1};
}

/// Logits of the probabilities 0.5, 0.25, 0.15, 0.1, in another order.
const std::vector<float> kLogits = {std::log(0.15f), std::log(0.5f), std::log(0.1f),
                                    std::log(0.25f)};

std::map<Token, int> draw(const SamplerOptions& options, int n,
                          const std::vector<float>& logits = kLogits,
                          const std::vector<Token>& history = {}) {
  Sampler sampler(options);
  std::map<Token, int> counts;
  for (int i = 0; i < n; ++i) ++counts[sampler.sample(logits, history)];
  return counts;
}

std::set<Token> drawn(const SamplerOptions& options, const std::vector<Token>& history = {}) {
  std::set<Token> tokens;
  for (const auto& [token, count] : draw(options, 500, kLogits, history)) tokens.insert(token);
  return tokens;
}

using Tokens = std::set<Token>;

TEST(Sampler, TemperatureZeroTakesTheMostLikelyAndTheFirstOfEquals) {
  Sampler sampler(plain(0.0f));
  EXPECT_EQ(sampler.sample(kLogits, {}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{0.0f, 2.0f, 2.0f}, {}), 1);
}

TEST(Sampler, FollowsTheProbabilities) {
  constexpr int kDraws = 20000;
  const std::map<Token, int> counts = draw(plain(), kDraws);
  const std::vector<double> expected = {0.15, 0.5, 0.1, 0.25};
  for (Token token = 0; token < 4; ++token) {
    // Five standard deviations of a binomial are below 0.018.
    EXPECT_NEAR(static_cast<double>(counts.at(token)) / kDraws,
                expected[static_cast<std::size_t>(token)], 0.018);
  }
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  const int cold = draw(plain(0.5f), 5000).at(1);
  const int normal = draw(plain(1.0f), 5000).at(1);
  const int hot = draw(plain(4.0f), 5000).at(1);
  EXPECT_GT(cold, normal + 300);
  EXPECT_LT(hot, normal - 300);
}

TEST(Sampler, TheSeedDecides) {
  const auto sequence = [](std::uint64_t seed) {
    SamplerOptions options = plain();
    options.seed = seed;
    Sampler sampler(options);
    std::vector<Token> tokens;
    for (int i = 0; i < 50; ++i) tokens.push_back(sampler.sample(kLogits, {}));
    return tokens;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
}

TEST(Sampler, TopK) {
  SamplerOptions options = plain();
  options.top_k = 2;
  EXPECT_EQ(drawn(options), (Tokens{1, 3}));
  options.top_k = 1;
  EXPECT_EQ(drawn(options), (Tokens{1}));
  options.top_k = 100;
  EXPECT_EQ(drawn(options), (Tokens{0, 1, 2, 3}));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatHoldsTheShare) {
  SamplerOptions options = plain();
  options.top_p = 0.4f;
  EXPECT_EQ(drawn(options), (Tokens{1}));
  options.top_p = 0.6f;
  EXPECT_EQ(drawn(options), (Tokens{1, 3}));
  options.top_p = 0.85f;
  EXPECT_EQ(drawn(options), (Tokens{0, 1, 3}));
}

TEST(Sampler, MinPIsRelativeToTheBest) {
  SamplerOptions options = plain();
  options.min_p = 0.4f;  // 0.2 of probability
  EXPECT_EQ(drawn(options), (Tokens{1, 3}));
  options.min_p = 1.0f;
  EXPECT_EQ(drawn(options), (Tokens{1}));
}

TEST(Sampler, FiltersLookAtProbabilitiesBeforeTheTemperature) {
  SamplerOptions options = plain(100.0f);
  options.top_p = 0.6f;
  EXPECT_EQ(drawn(options), (Tokens{1, 3}));
}

TEST(Sampler, RepeatPenaltyOfRecentTokens) {
  SamplerOptions options = plain(0.0f);
  options.repeat_penalty = 2.0f;
  Sampler sampler(options);
  const std::vector<float> positive = {1.0f, 4.0f, 3.0f};
  EXPECT_EQ(sampler.sample(positive, std::vector<Token>{0}), 1);
  EXPECT_EQ(sampler.sample(positive, std::vector<Token>{1}), 2);
  // Negative logits become more negative.
  const std::vector<float> negative = {-3.0f, -1.0f, -1.5f};
  EXPECT_EQ(sampler.sample(negative, std::vector<Token>{1}), 2);
}

TEST(Sampler, RepeatPenaltyForgetsWhatIsFarBack) {
  SamplerOptions options = plain(0.0f);
  options.repeat_penalty = 2.0f;
  options.repeat_last = 3;
  Sampler sampler(options);
  const std::vector<float> logits = {1.0f, 4.0f, 3.0f};
  EXPECT_EQ(sampler.sample(logits, std::vector<Token>{1, 0, 0}), 2);
  EXPECT_EQ(sampler.sample(logits, std::vector<Token>{1, 0, 0, 0}), 1);
}

TEST(Sampler, IgnoresLogitsThatAreNotFinite) {
  Sampler sampler(plain(0.0f));
  EXPECT_EQ(sampler.sample(std::vector<float>{-kInf, 1.0f, std::nanf(""), kInf}, {}), 1);
  expect_error(ErrorKind::kEvaluation, "no finite logit", [&] {
    sampler.sample(std::vector<float>{-kInf, std::nanf("")}, {});
  });
}

TEST(Sampler, RefusesValuesThatMakeNoSense) {
  const auto refused = [](const char* name, auto change) {
    SamplerOptions options;
    change(options);
    expect_error(ErrorKind::kUsage, name, [&] { Sampler{options}; });
  };
  refused("temperature", [](SamplerOptions& o) { o.temperature = -1.0f; });
  refused("temperature", [](SamplerOptions& o) { o.temperature = kInf; });
  refused("temperature", [](SamplerOptions& o) { o.temperature = std::nanf(""); });
  refused("--top-k", [](SamplerOptions& o) { o.top_k = -1; });
  refused("--top-p", [](SamplerOptions& o) { o.top_p = 0.0f; });
  refused("--top-p", [](SamplerOptions& o) { o.top_p = 1.5f; });
  refused("--min-p", [](SamplerOptions& o) { o.min_p = -0.1f; });
  refused("--repeat-penalty", [](SamplerOptions& o) { o.repeat_penalty = 0.0f; });
}

}  // namespace
}  // namespace quant::test
