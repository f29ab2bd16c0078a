// Division of texts into context and continuation, and log-likelihoods that do not depend on what
// was reused.
#include "quant/score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <ostream>

#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

constexpr Token kBos = 256;
constexpr Token kEos = 257;

std::shared_ptr<const Model> load(const GgufWriter& writer) {
  const TempDir dir;
  writer.write(dir.path() / "model.gguf");
  return Model::load((dir.path() / "model.gguf").string());
}

const Tokenizer& tokenizer() {
  static const auto model = load(tiny_model({}));
  return model->tokenizer();
}

using Tokens = std::vector<Token>;

Tokens encoded(std::string_view text) { return tokenizer().encode(text); }

Tokens with_bos(Tokens tokens) {
  tokens.insert(tokens.begin(), kBos);
  return tokens;
}

void expect_split(const ScoreJob& job, const Tokens& context, const Tokens& continuation) {
  EXPECT_EQ(job.context, context);
  EXPECT_EQ(job.continuation, continuation);
}

TEST(EncodeJob, ContinuationIsWhatBothTextsTogetherAdd) {
  expect_split(encode_job(tokenizer(), "rain", " in spain"), with_bos(encoded("rain")),
               encoded(" in spain"));
}

TEST(EncodeJob, AMergeOverTheBoundaryIsCutByTheContextsOwnLength) {
  // "t" is one token alone; "the" is "th" and "e" together, so that one token is left.
  ASSERT_EQ(encoded("the").size(), 2u);
  expect_split(encode_job(tokenizer(), "t", "he"), with_bos({'t'}), {'e'});
  expect_error(ErrorKind::kUsage, "no tokens of its own",
               [] { encode_job(tokenizer(), "t", "h"); });
}

TEST(EncodeJob, SpaceAtTheEndOfTheContextBelongsToTheContinuation) {
  for (const char* space : {" ", "\n", " \t ", "\u00a0", "\u3000", "\x1f"}) {
    const ScoreJob job = encode_job(tokenizer(), std::string("q: a") + space, "b");
    expect_split(job, with_bos(encoded("q: a")), encoded(std::string(space) + "b"));
  }
  // Not space: a byte that is no character, and a letter.
  EXPECT_EQ(encode_job(tokenizer(), "a\xa0", "b").continuation, encoded("b"));
}

TEST(EncodeJob, BosStandsForAnEmptyContext) {
  expect_split(encode_job(tokenizer(), "", "ab"), {kBos}, encoded("ab"));
  expect_split(encode_job(tokenizer(), "  ", "ab"), {kBos}, encoded("  ab"));
  expect_split(encode_job(tokenizer(), "", "<s>ab", true), {kBos}, encoded("ab"));
  expect_error(ErrorKind::kUsage, "no tokens", [] { encode_job(tokenizer(), "", ""); });
}

TEST(EncodeJob, BosOrElseEosOfModelsThatDoNotAskForBos) {
  GgufWriter writer = tiny_model({});
  writer.remove("tokenizer.ggml.add_bos_token").add("tokenizer.ggml.add_bos_token", false);
  const auto plain = load(writer);
  expect_split(encode_job(plain->tokenizer(), "a", "b"), {'a'}, {'b'});
  expect_split(encode_job(plain->tokenizer(), "", "b"), {kBos}, {'b'});
  writer.remove("tokenizer.ggml.bos_token_id");
  const auto no_bos = load(writer);
  if (!no_bos->tokenizer().bos().has_value()) {
    expect_split(encode_job(no_bos->tokenizer(), "", "b"), {kEos}, {'b'});
  }
}

TEST(EncodeJob, SpecialTokensOnlyIfAskedForAndBosOnce) {
  expect_split(encode_job(tokenizer(), "<s>a", "</s>", true), {kBos, 'a'}, {kEos});
  EXPECT_GT(encode_job(tokenizer(), "<s>a", "</s>").continuation.size(), 1u);
}

TEST(RollingJobs, ScoreEachTokenOnceWithTheContextThereIsRoomFor) {
  // The example in lm-evaluation-harness's description of loglikelihood_rolling.
  const std::vector<ScoreJob> jobs = rolling_jobs(tokenizer(), "0123456789", 4);
  ASSERT_EQ(jobs.size(), 3u);
  expect_split(jobs[0], {kBos}, encoded("0123"));
  expect_split(jobs[1], encoded("3"), encoded("4567"));
  expect_split(jobs[2], encoded("567"), encoded("89"));
  EXPECT_EQ(rolling_jobs(tokenizer(), "0123", 4).size(), 1u);
  expect_error(ErrorKind::kUsage, "no tokens", [] { rolling_jobs(tokenizer(), "", 4); });
}

TEST(TruncateContext, KeepsWhatFits) {
  ScoreJob job{{1, 2, 3, 4}, {5, 6}};
  EXPECT_EQ(truncate_context(job, 5), 0);
  EXPECT_EQ(truncate_context(job, 3), 2);
  expect_split(job, {3, 4}, {5, 6});
  EXPECT_EQ(truncate_context(job, 2), 1);
  expect_split(job, {4}, {5, 6});
  expect_error(ErrorKind::kUsage, "does not fit", [&] { truncate_context(job, 1); });
}

Tokens some_tokens(int n, int seed) {
  Tokens tokens;
  for (int i = 0; i < n; ++i) tokens.push_back((i * 37 + seed * 11 + i * i * seed) % 250);
  return tokens;
}

Tokens operator+(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Two questions behind the same examples, several endings each, a growing dialogue, and strangers.
std::vector<ScoreJob> jobs() {
  const Tokens examples = some_tokens(60, 1);
  const Tokens question = examples + some_tokens(20, 2);
  const Tokens other = examples + some_tokens(30, 3);
  std::vector<ScoreJob> all;
  for (int ending = 4; ending < 7; ++ending) all.push_back({question, some_tokens(5, ending)});
  for (int ending = 4; ending < 7; ++ending) all.push_back({other, some_tokens(9, ending)});
  all.push_back({question, some_tokens(1, 9)});
  for (int turn = 0; turn < 8; ++turn) all.push_back({some_tokens(20 + 17 * turn, 5), {1, 2, 3}});
  all.push_back({{7}, {8}});
  all.push_back({examples, some_tokens(30, 2)});
  return all;
}

struct Setup {
  std::string architecture;
  KvSpec kv;
};

void PrintTo(const Setup& setup, std::ostream* out) {
  *out << setup.architecture << " " << kv_format_info(setup.kv.key.type).name;
}

class ScorerOnModels : public testing::TestWithParam<Setup> {
 protected:
  Session session() const {
    static std::map<std::string, std::shared_ptr<const Model>> models;
    auto& model = models[GetParam().architecture];
    if (model == nullptr) model = load(tiny_model(tiny_spec(GetParam().architecture)));
    return Session(model, {.kv = GetParam().kv, .context = 256, .batch = 24});
  }
};

TEST_P(ScorerOnModels, ReuseDoesNotChangeABit) {
  Session shared = session();
  Scorer scorer(shared);
  std::vector<ScoreJob> order = jobs();
  std::int64_t reused = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (const ScoreJob& job : order) {
      const Score score = scorer.score(job);
      reused += score.reused_tokens;
      Session fresh = session();
      const Tokens tokens = job.context + job.continuation;
      Tokens targets(job.context.size() - 1, -1);
      targets = targets + job.continuation;
      std::vector<TokenLoss> losses(targets.size());
      fresh.append(std::span(tokens).first(targets.size()), targets, losses);
      double sum = 0.0;
      bool greedy = true;
      for (std::size_t i = 0; i < job.continuation.size(); ++i) {
        const TokenLoss& loss = losses[job.context.size() - 1 + i];
        EXPECT_EQ(score.token_log_likelihoods.at(i), -loss.nll);
        sum -= loss.nll;
        greedy = greedy && loss.argmax == job.continuation[i];
      }
      EXPECT_EQ(score.log_likelihood, sum);
      EXPECT_EQ(score.greedy, greedy);
    }
    std::ranges::reverse(order);
  }
  EXPECT_GT(reused, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Models, ScorerOnModels,
    testing::Values(Setup{"llama", {}},
                    Setup{"llama", {{KvType::kTurboKv3b, 16, 2}, {KvType::kQ8_0, 0, 0}}},
                    Setup{"gemma3", {{KvType::kUniform4b, 40, 0}, {KvType::kFp16, 8, 4}}}),
    [](const auto& setup) { return setup.param.architecture + std::to_string(setup.index); });

class ScorerTest : public testing::Test {
 protected:
  std::shared_ptr<const Model> model = load(tiny_model({}));
  Session session{model, {.kv = {}, .context = 256, .batch = 64}};
  Scorer scorer{session};
};

TEST_F(ScorerTest, ReusesContextsAndWhereJobsWentApart) {
  const Tokens examples = some_tokens(60, 1);
  const auto reused = [&](const Tokens& context) {
    return scorer.score({context, {1, 2}}).reused_tokens;
  };
  const Tokens first = examples + some_tokens(20, 2);
  EXPECT_EQ(reused(first), 0);
  EXPECT_EQ(reused(first), 79);  // all but the token that predicts the continuation
  // The first that leaves it runs the examples again and marks where it left.
  EXPECT_EQ(reused(examples + some_tokens(20, 3)), 0);
  EXPECT_EQ(reused(examples + some_tokens(20, 4)), 60);
  EXPECT_EQ(reused(examples + some_tokens(25, 5)), 60);
}

TEST_F(ScorerTest, GreedyIsTheModelsOwnChoice) {
  const Tokens context = some_tokens(30, 1);
  session.append(context);
  std::span<const float> logits = session.logits();
  const Token best = static_cast<Token>(std::ranges::max_element(logits) - logits.begin());
  session.reset();
  Scorer fresh(session);
  EXPECT_TRUE(fresh.score({context, {best}}).greedy);
  EXPECT_FALSE(fresh.score({context, {(best + 1) % 250}}).greedy);
  EXPECT_FALSE(fresh.score({context, {best, kBos, best}}).greedy);
}

TEST_F(ScorerTest, RefusesAndRecovers) {
  const ScoreJob job{some_tokens(40, 1), {1, 2, 3}};
  const double expected = scorer.score(job).log_likelihood;
  expect_error(ErrorKind::kUsage, "context has no tokens", [&] { scorer.score({{}, {1}}); });
  expect_error(ErrorKind::kUsage, "continuation has no tokens", [&] { scorer.score({{1}, {}}); });
  expect_error(ErrorKind::kUsage, "token 288 is not", [&] { scorer.score({{1}, {288}}); });
  expect_error(ErrorKind::kUsage, "token -1 is not", [&] { scorer.score({{1}, {-1}}); });
  expect_error(ErrorKind::kUsage, "token 999 is not", [&] { scorer.score({{999}, {1}}); });
  expect_error(ErrorKind::kUsage, "do not fit", [&] { scorer.score({some_tokens(300, 1), {1}}); });
  const Score again = scorer.score(job);
  EXPECT_EQ(again.log_likelihood, expected);
}

TEST(Choose, BySumAndByCharacter) {
  const std::vector<double> sums = {-3.0, -4.0, -3.0};
  const std::vector<std::string> endings = {"ab", "\u00e4\u00f6\u00fcx", "abc"};
  const Choice choice = choose(sums, endings);
  EXPECT_EQ(choice.likeliest, 0);  // the first of equals
  // -1.5, -1.0 and -1.0 a character; bytes would give the second -0.57.
  EXPECT_EQ(choice.likeliest_norm, 1);
  EXPECT_EQ(
      choose(sums, std::vector<std::string>{"ab", "\u00e4\u00f6\u00fc", "abc"}).likeliest_norm, 2);
}

TEST(AccuracyOf, ShareAndStandardError) {
  const Accuracy accuracy = accuracy_of(std::vector<double>{1, 0, 1, 1});
  EXPECT_DOUBLE_EQ(accuracy.value, 0.75);
  EXPECT_DOUBLE_EQ(accuracy.standard_error, std::sqrt(0.75 * 0.25 / 3.0));
}

}  // namespace
}  // namespace quant::test
