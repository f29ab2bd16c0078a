// Division of texts into windows by the three protocols, and FP32 shares.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "quant/perplexity.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

constexpr Token kBos = 256;
constexpr int kModelContext = 512;

std::shared_ptr<const Model> model_with(bool add_bos) {
  const TempDir dir;
  const std::string path = (dir.path() / "model.gguf").string();
  tiny_model({})
      .remove("tokenizer.ggml.add_bos_token")
      .add("tokenizer.ggml.add_bos_token", add_bos)
      .write(path);
  return Model::load(path);
}

const Model& with_bos() {
  static const auto model = model_with(true);
  return *model;
}
const Model& without_bos() {
  static const auto model = model_with(false);
  return *model;
}

/// Tokens 0, 1, 2, …, so that a token is its own place in the text.
std::vector<Token> text_of(int n) {
  std::vector<Token> text(static_cast<std::size_t>(n));
  std::iota(text.begin(), text.end(), 1000);
  return text;
}

std::vector<std::size_t> lengths(const EvalPlan& plan) {
  std::vector<std::size_t> n;
  for (const EvalWindow& window : plan.windows) n.push_back(window.tokens.size());
  return n;
}

/// How often each token of the text is scored.
std::vector<int> times_scored(const EvalPlan& plan, int n) {
  std::vector<int> times(static_cast<std::size_t>(n), 0);
  for (const EvalWindow& window : plan.windows) {
    for (std::size_t i = static_cast<std::size_t>(window.first_scored); i < window.tokens.size();
         ++i) {
      ++times.at(static_cast<std::size_t>(window.tokens[i] - 1000));
    }
  }
  return times;
}

/// Tokens of the text that are in no window.
std::int64_t missing(const EvalPlan& plan, int n) {
  std::vector<bool> seen(static_cast<std::size_t>(n), false);
  for (const EvalWindow& window : plan.windows) {
    for (const Token token : window.tokens) {
      if (token >= 1000) seen.at(static_cast<std::size_t>(token - 1000)) = true;
    }
  }
  return std::ranges::count(seen, false);
}

using Sizes = std::vector<std::size_t>;

TEST(PlanContext, WithoutBos) {
  const EvalPlan plan = plan_evaluation(without_bos(), text_of(100), {.context = 32});
  EXPECT_EQ(lengths(plan), (Sizes{32, 32, 32, 4}));
  for (const EvalWindow& window : plan.windows) EXPECT_EQ(window.first_scored, 1);
  EXPECT_EQ(plan.windows[1].tokens.front(), 1032);
  EXPECT_EQ(plan.scored_tokens(), 96);
  EXPECT_EQ(plan.text_tokens, 100);
  EXPECT_EQ(plan.dropped_tokens, 0);
  EXPECT_EQ(plan.context, 32);
}

TEST(PlanContext, WithBosEveryTokenOfTheTextIsScored) {
  const EvalPlan plan = plan_evaluation(with_bos(), text_of(100), {.context = 32});
  EXPECT_EQ(lengths(plan), (Sizes{32, 32, 32, 8}));
  for (const EvalWindow& window : plan.windows) EXPECT_EQ(window.tokens.front(), kBos);
  EXPECT_EQ(times_scored(plan, 100), std::vector<int>(100, 1));
  EXPECT_EQ(plan.dropped_tokens, 0);
}

TEST(PlanContext, ATailOfOneTokenIsDroppedAndCounted) {
  const EvalPlan plan = plan_evaluation(without_bos(), text_of(65), {.context = 32});
  EXPECT_EQ(lengths(plan), (Sizes{32, 32}));
  EXPECT_EQ(plan.dropped_tokens, 1);
  EXPECT_EQ(plan.scored_tokens(), 62);
  // BOS makes it two tokens.
  EXPECT_EQ(plan_evaluation(with_bos(), text_of(63), {.context = 32}).dropped_tokens, 0);
}

TEST(PlanContext, TheWholeTextIfTheModelHoldsIt) {
  EXPECT_EQ(lengths(plan_evaluation(without_bos(), text_of(512), {})), (Sizes{512}));
  EXPECT_EQ(lengths(plan_evaluation(with_bos(), text_of(511), {})), (Sizes{512}));
  EXPECT_EQ(lengths(plan_evaluation(with_bos(), text_of(512), {})), (Sizes{512, 2}));
  EXPECT_EQ(plan_evaluation(with_bos(), text_of(100), {}).session_context, 101);
}

TEST(PlanContext, ShorterTextsThanTheContextKeepTheContextAskedFor) {
  const EvalPlan plan = plan_evaluation(without_bos(), text_of(50), {.context = 200});
  EXPECT_EQ(lengths(plan), (Sizes{50}));
  EXPECT_EQ(plan.context, 50);
  EXPECT_EQ(plan.session_context, 200);
}

TEST(PlanContext, ChunksLimitTheWindows) {
  const EvalPlan plan = plan_evaluation(with_bos(), text_of(100), {.context = 32, .chunks = 2});
  EXPECT_EQ(lengths(plan), (Sizes{32, 32}));
  EXPECT_EQ(plan.dropped_tokens, 38);
  EXPECT_EQ(plan.dropped_tokens, missing(plan, 100));
}

TEST(PlanContext, BeyondTheModelOnlyOnRequest) {
  expect_error(ErrorKind::kUsage, "--allow-longer", [] {
    plan_evaluation(without_bos(), text_of(1000), {.context = kModelContext + 1});
  });
  EXPECT_EQ(lengths(plan_evaluation(without_bos(), text_of(1000),
                                    {.context = 1000, .allow_longer = true})),
            (Sizes{1000}));
}

TEST(PlanContext, TooShort) {
  const auto refused = [](const Model& model, int tokens, int context, const char* message) {
    expect_error(ErrorKind::kUsage, message,
                 [&] { plan_evaluation(model, text_of(tokens), {.context = context}); });
  };
  refused(without_bos(), 0, 0, "too short");
  refused(with_bos(), 0, 0, "too short");
  refused(without_bos(), 1, 0, "the text is too short");
  expect_error(ErrorKind::kUsage, "a.txt is too short: ", [] {
    plan_evaluation(without_bos(), text_of(1), {.text_name = "a.txt"});
  });
  refused(without_bos(), 100, 1, "scores nothing");
  refused(with_bos(), 100, 1, "scores nothing");
  EXPECT_EQ(plan_evaluation(with_bos(), text_of(1), {}).scored_tokens(), 1);
  EXPECT_EQ(plan_evaluation(without_bos(), text_of(2), {}).scored_tokens(), 1);
}

TEST(PlanLlamaCpp, TheSecondHalfOfEachChunk) {
  const EvalPlan plan = plan_evaluation(without_bos(), text_of(100),
                                        {.protocol = Protocol::kLlamaCpp, .context = 32});
  EXPECT_EQ(lengths(plan), (Sizes{32, 32, 32}));
  for (const EvalWindow& window : plan.windows) EXPECT_EQ(window.first_scored, 17);
  EXPECT_EQ(plan.scored_tokens(), 45);
  EXPECT_EQ(plan.dropped_tokens, 4);
  EXPECT_EQ(plan.dropped_tokens, missing(plan, 100));
}

TEST(PlanLlamaCpp, BosStandsInFrontAndOverTheFirstTokenOfEachChunk) {
  const EvalPlan plan =
      plan_evaluation(with_bos(), text_of(100), {.protocol = Protocol::kLlamaCpp, .context = 32});
  EXPECT_EQ(lengths(plan), (Sizes{32, 32, 32}));
  for (const EvalWindow& window : plan.windows) EXPECT_EQ(window.tokens.front(), kBos);
  EXPECT_EQ(plan.windows[0].tokens[1], 1000);
  EXPECT_EQ(plan.windows[1].tokens[1], 1032);  // 1031 lies under BOS
  EXPECT_EQ(plan.dropped_tokens, missing(plan, 100));
}

TEST(PlanLlamaCpp, DefaultsTo512AndScores255) {
  const EvalPlan plan =
      plan_evaluation(without_bos(), text_of(1024 + 7), {.protocol = Protocol::kLlamaCpp});
  EXPECT_EQ(lengths(plan), (Sizes{512, 512}));
  EXPECT_EQ(plan.scored_tokens(), 2 * 255);
  EXPECT_EQ(plan.dropped_tokens, 7);
}

TEST(PlanLlamaCpp, ChunksLimitTheWindows) {
  for (const Model* model : {&with_bos(), &without_bos()}) {
    const EvalPlan plan = plan_evaluation(
        *model, text_of(100), {.protocol = Protocol::kLlamaCpp, .context = 32, .chunks = 2});
    EXPECT_EQ(lengths(plan), (Sizes{32, 32}));
    EXPECT_EQ(plan.dropped_tokens, missing(plan, 100));
  }
}

TEST(PlanLlamaCpp, FewerThanTwoContextsIsAnError) {
  const PlanOptions options{.protocol = Protocol::kLlamaCpp, .context = 32};
  expect_error(ErrorKind::kUsage, "2 x 32",
               [&] { plan_evaluation(without_bos(), text_of(63), options); });
  EXPECT_EQ(plan_evaluation(without_bos(), text_of(64), options).windows.size(), 2u);
  EXPECT_EQ(plan_evaluation(with_bos(), text_of(63), options).windows.size(), 2u);
}

TEST(PlanStrided, EveryTokenIsScoredOnce) {
  for (const int stride : {1, 5, 16, 31}) {
    const PlanOptions options{.protocol = Protocol::kStrided, .context = 32, .stride = stride};
    for (const int n : {2, 31, 32, 33, 100}) {
      std::vector<int> all_but_first(static_cast<std::size_t>(n), 1);
      const EvalPlan with = plan_evaluation(with_bos(), text_of(n), options);
      EXPECT_EQ(times_scored(with, n), all_but_first) << "stride " << stride << ", n " << n;
      all_but_first[0] = 0;
      const EvalPlan without = plan_evaluation(without_bos(), text_of(n), options);
      EXPECT_EQ(times_scored(without, n), all_but_first) << "stride " << stride << ", n " << n;
      EXPECT_EQ(without.dropped_tokens, 0);
      for (const EvalWindow& window : without.windows) EXPECT_LE(window.tokens.size(), 32u);
    }
  }
}

TEST(PlanStrided, WindowsAdvanceByTheStride) {
  const EvalPlan plan = plan_evaluation(
      without_bos(), text_of(100), {.protocol = Protocol::kStrided, .context = 32, .stride = 16});
  EXPECT_EQ(lengths(plan), (Sizes{32, 32, 32, 32, 32, 20}));
  EXPECT_EQ(plan.windows[2].tokens.front(), 1032);
  EXPECT_EQ(plan.windows[2].first_scored, 16);
}

TEST(PlanStrided, HalfAContextByDefault) {
  const EvalPlan plan =
      plan_evaluation(without_bos(), text_of(100), {.protocol = Protocol::kStrided, .context = 32});
  EXPECT_EQ(plan.windows[1].tokens.front(), 1016);
}

TEST(PlanStrided, ChunksLimitTheWindows) {
  for (const Model* model : {&with_bos(), &without_bos()}) {
    const EvalPlan plan =
        plan_evaluation(*model, text_of(100),
                        {.protocol = Protocol::kStrided, .context = 32, .stride = 10, .chunks = 3});
    EXPECT_EQ(plan.windows.size(), 3u);
    EXPECT_EQ(plan.dropped_tokens, missing(plan, 100));
  }
}

TEST(PlanStrided, AStrideThatSkipsTokensIsAnError) {
  for (const Model* model : {&with_bos(), &without_bos()}) {
    expect_error(ErrorKind::kUsage, "nothing to look back on", [&] {
      plan_evaluation(*model, text_of(100),
                      {.protocol = Protocol::kStrided, .context = 32, .stride = 32});
    });
  }
}

TEST(PlanLlamaCpp, AContextThatScoresNothingIsAnError) {
  expect_error(ErrorKind::kUsage, "scores nothing", [] {
    plan_evaluation(without_bos(), text_of(100), {.protocol = Protocol::kLlamaCpp, .context = 2});
  });
}

TEST(Protocols, Names) {
  for (const Protocol p : {Protocol::kContext, Protocol::kLlamaCpp, Protocol::kStrided}) {
    EXPECT_EQ(parse_protocol(protocol_name(p)), p);
  }
  expect_error(ErrorKind::kUsage, "context, llamacpp, strided", [] { parse_protocol("hf"); });
}

/// One context of n tokens without BOS.
EvalPlan one_context(int n) {
  return plan_evaluation(without_bos(), text_of(n), {.context = n, .allow_longer = true});
}

ModelConfig global_layers(int n) {
  ModelConfig config;
  config.layers.resize(static_cast<std::size_t>(n));
  return config;
}

TEST(Fp32Share, KnownValues) {
  const ModelConfig config = global_layers(3);
  const Fp32Share k128 = fp32_share(config, {KvType::kTurboKv4b, 128, 0}, one_context(3970));
  EXPECT_NEAR(k128.mean, 0.143, 0.0005);
  EXPECT_NEAR(k128.end, 0.032, 0.0005);
  const Fp32Share k512 = fp32_share(config, {KvType::kUniform2b, 512, 0}, one_context(957));
  EXPECT_NEAR(k512.mean, 0.870, 0.0005);
  EXPECT_NEAR(k512.end, 512.0 / 956.0, 1e-12);
}

TEST(Fp32Share, NothingAndEverything) {
  const ModelConfig config = global_layers(1);
  const EvalPlan plan = one_context(100);
  EXPECT_EQ(fp32_share(config, {KvType::kFp16, 0, 0}, plan).mean, 0.0);
  EXPECT_EQ(fp32_share(config, {KvType::kFp16, 0, 0}, plan).end, 0.0);
  EXPECT_EQ(fp32_share(config, {KvType::kFp32, 0, 0}, plan).mean, 1.0);
  EXPECT_EQ(fp32_share(config, {KvType::kFp16, 100, 0}, plan).mean, 1.0);
  // The sink is exact as the window is, and no position counts twice.
  EXPECT_NEAR(fp32_share(config, {KvType::kFp16, 10, 5}, plan).end, 15.0 / 99.0, 1e-12);
  EXPECT_EQ(fp32_share(config, {KvType::kFp16, 60, 60}, plan).end, 1.0);
}

TEST(Fp32Share, AveragesOverLayers) {
  ModelConfig config = global_layers(2);
  config.layers[1].sliding_window = 32;
  const EvalPlan plan = one_context(101);
  EXPECT_NEAR(fp32_share(config, {KvType::kFp16, 16, 0}, plan).end,
              (16.0 / 100.0 + 16.0 / 32.0) / 2.0, 1e-12);
}

TEST(Fp32Share, CountsOnlyScoredQueries) {
  const ModelConfig config = global_layers(1);
  const EvalPlan plan =
      plan_evaluation(without_bos(), text_of(64), {.protocol = Protocol::kLlamaCpp, .context = 32});
  double expected = 0.0;
  for (int t = 16; t <= 30; ++t) expected += 4.0 / (t + 1) / 15.0;
  EXPECT_NEAR(fp32_share(config, {KvType::kFp16, 4, 0}, plan).mean, expected, 1e-12);
  EXPECT_NEAR(fp32_share(config, {KvType::kFp16, 4, 0}, plan).end, 4.0 / 31.0, 1e-12);
}

TEST(PlanOffset, LeavesOutTheBeginningOfTheText) {
  for (const Protocol protocol : {Protocol::kContext, Protocol::kLlamaCpp, Protocol::kStrided}) {
    const EvalPlan plan = plan_evaluation(with_bos(), text_of(100),
                                          {.protocol = protocol, .context = 16, .offset = 37});
    EXPECT_EQ(plan.windows[0].tokens[1], 1037);
    EXPECT_EQ(plan.text_tokens, 100);
    EXPECT_GE(plan.dropped_tokens, 37);
    EXPECT_EQ(plan.dropped_tokens, missing(plan, 100)) << protocol_name(protocol);
  }
}

TEST(PlanOffset, MustLeaveSomethingToScore) {
  EXPECT_EQ(plan_evaluation(without_bos(), text_of(10), {.offset = 8}).scored_tokens(), 1);
  expect_error(ErrorKind::kUsage, "offset of 9",
               [] { plan_evaluation(without_bos(), text_of(10), {.offset = 9}); });
  expect_error(ErrorKind::kUsage, "offset of 50",
               [] { plan_evaluation(with_bos(), text_of(10), {.offset = 50}); });
}

TEST(SeedOffset, MovesTheCutsOfAFirstContext) {
  EXPECT_EQ(seed_offset(0, 1000, 128), 0);
  std::set<std::int64_t> offsets;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const std::int64_t offset = seed_offset(seed, 1000, 128);
    EXPECT_GE(offset, 0);
    EXPECT_LT(offset, 128);
    EXPECT_EQ(offset, seed_offset(seed, 1000, 128));
    offsets.insert(offset);
  }
  EXPECT_GT(offsets.size(), 110u);  // 500 draws of 128 leave out 3 on average
  // Half of a text that is no longer than the context stays to be scored.
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    EXPECT_LT(seed_offset(seed, 1000, 4096), 500);
    EXPECT_LT(seed_offset(seed, 1000, 0), 500);
  }
  EXPECT_EQ(seed_offset(7, 1, 0), 0);
}

}  // namespace
}  // namespace quant::test
