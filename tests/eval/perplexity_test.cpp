#include "quant/perplexity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

/// Not a multiple of anything: the last panel and the last tile of the vocabulary are short.
constexpr int kVocab = 1001;

std::shared_ptr<const Model> model_with_output(const std::vector<float>& output) {
  TinyModelSpec spec;
  spec.n_vocab = kVocab;
  spec.tied_output = false;
  GgufWriter writer = tiny_model(spec);
  if (!output.empty()) {
    writer.remove_tensor("output.weight")
        .add_tensor("output.weight", {static_cast<std::uint64_t>(spec.n_embd), kVocab}, output);
  }
  const TempDir dir;
  const std::string path = (dir.path() / "model.gguf").string();
  writer.write(path);
  return Model::load(path);
}

std::vector<Token> some_text(int n) {
  std::vector<Token> text;
  for (int i = 0; i < n; ++i) text.push_back((i * 37) % 250);
  return text;
}

PerplexityResult measure(const std::shared_ptr<const Model>& model, const EvalPlan& plan) {
  Session session(model, {.kv = {}, .context = plan.session_context, .batch = 48});
  return measure_perplexity(session, plan);
}

TEST(Perplexity, OfAModelThatKnowsNothingIsTheVocabularySize) {
  const auto model = model_with_output(std::vector<float>(64 * kVocab, 0.0f));
  const EvalPlan plan = plan_evaluation(*model, some_text(200), {.context = 64});
  const PerplexityResult result = measure(model, plan);
  EXPECT_NEAR(result.perplexity, kVocab, 1e-6 * kVocab);
  EXPECT_NEAR(result.standard_error, 0.0, 1e-9);
  for (const TokenLoss& loss : result.losses) EXPECT_EQ(loss.argmax, 0);  // the first of equals
}

TEST(Perplexity, LossesAreThoseOfTheLogits) {
  const auto model = model_with_output({});
  const std::vector<Token> text = some_text(150);
  const EvalPlan plan = plan_evaluation(*model, text, {});
  const PerplexityResult result = measure(model, plan);
  ASSERT_EQ(result.scored_tokens, 150);
  ASSERT_EQ(result.losses.size(), 150u);
  EXPECT_EQ(result.targets, text);

  Session session(model, {.kv = {}, .context = plan.session_context});
  const std::vector<float> logits = session.append_with_logits(plan.windows[0].tokens);
  double sum = 0.0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const float* row = logits.data() + i * kVocab;
    double exponentials = 0.0;
    for (int v = 0; v < kVocab; ++v) exponentials += std::exp(static_cast<double>(row[v]));
    const double loss = std::log(exponentials) - static_cast<double>(row[text[i]]);
    EXPECT_NEAR(result.losses[i].nll, loss, 2e-6) << "token " << i;
    EXPECT_EQ(result.losses[i].argmax, std::max_element(row, row + kVocab) - row) << "token " << i;
    sum += loss;
  }
  EXPECT_NEAR(result.mean_nll, sum / 150.0, 1e-6);
  EXPECT_DOUBLE_EQ(result.perplexity, std::exp(result.mean_nll));
}

TEST(Perplexity, WindowsStartFromAnEmptyCache) {
  const auto model = model_with_output({});
  const std::vector<Token> text = some_text(93);
  const PerplexityResult whole = measure(model, plan_evaluation(*model, text, {.context = 32}));
  const PerplexityResult last =
      measure(model, plan_evaluation(*model, std::span(text).subspan(62), {.context = 32}));
  ASSERT_EQ(whole.losses.size(), 93u);
  for (std::size_t i = 0; i < 31; ++i) EXPECT_EQ(whole.losses[62 + i].nll, last.losses[i].nll);
}

TEST(Perplexity, StridedScoresAreThoseOfALongerContext) {
  const auto model = model_with_output({});
  const std::vector<Token> text = some_text(64);
  const PerplexityResult strided = measure(
      model,
      plan_evaluation(*model, text, {.protocol = Protocol::kStrided, .context = 41, .stride = 24}));
  const PerplexityResult window =
      measure(model, plan_evaluation(*model, std::span(text).subspan(24), {}));
  ASSERT_EQ(strided.losses.size(), 64u);
  for (std::size_t i = 40; i < 64; ++i) {
    EXPECT_EQ(strided.losses[i].nll, window.losses[i - 24].nll) << "token " << i;
  }
}

TEST(Perplexity, ProgressReachesTheTotal) {
  const auto model = model_with_output({});
  const EvalPlan plan = plan_evaluation(*model, some_text(200), {.context = 64});
  Session session(model, {.kv = {}, .context = plan.session_context, .batch = 10});
  std::int64_t last = 0;
  std::int64_t total = 0;
  measure_perplexity(session, plan, [&](std::int64_t done, std::int64_t all) {
    EXPECT_GT(done, last);
    last = done;
    total = all;
  });
  EXPECT_EQ(last, total);
}

TEST(Perplexity, VisitorSeesTheLogitsOfScoredTokens) {
  const auto model = model_with_output({});
  const std::vector<Token> text = some_text(150);
  // Batches of 48 and pieces of 32 rows; the first scored token is in the middle of a batch.
  const EvalPlan plan =
      plan_evaluation(*model, text, {.protocol = Protocol::kLlamaCpp, .context = 75});
  Session session(model, {.kv = {}, .context = 75, .batch = 48});
  std::vector<std::vector<float>> rows;
  std::vector<Token> targets;
  const PerplexityResult result = measure_perplexity(
      session, plan, {}, [&](std::span<const float> logits, Token target, const TokenLoss& loss) {
        rows.emplace_back(logits.begin(), logits.end());
        targets.push_back(target);
        EXPECT_EQ(loss.argmax, std::ranges::max_element(logits) - logits.begin());
      });
  EXPECT_EQ(targets, result.targets);
  EXPECT_EQ(result.mean_nll, measure(model, plan).mean_nll);
  std::size_t row = 0;
  for (const EvalWindow& window : plan.windows) {
    session.reset();
    const std::vector<float> logits = session.append_with_logits(window.tokens);
    for (std::int64_t i = window.first_scored; i < 75; ++i, ++row) {
      const float* expected = logits.data() + (i - 1) * kVocab;
      EXPECT_TRUE(std::equal(rows.at(row).begin(), rows[row].end(), expected)) << row;
    }
  }
  EXPECT_EQ(rows.size(), row);
}

TEST(Perplexity, LogitsOfABatchAndOfNoMore) {
  const auto model = model_with_output({});
  Session session(model, {.kv = {}, .context = 64, .batch = 8});
  expect_error(ErrorKind::kUsage, "before the first token", [&] { session.logits(); });
  session.append(some_text(13));  // the last batch has five tokens
  const std::span<const float> last = session.logits(4, 1);
  const std::vector<float> expected(last.begin(), last.end());
  EXPECT_TRUE(std::ranges::equal(session.logits(), expected));
  EXPECT_EQ(session.logits(0, 5).size(), 5u * kVocab);
  expect_error(ErrorKind::kUsage, "batch of 5", [&] { session.logits(0, 6); });
  expect_error(ErrorKind::kUsage, "batch of 5", [&] { session.logits(6, 0); });
}

TEST(Perplexity, LogitsThatAreNotNumbersAreAnError) {
  // All of them, or those of one token that the text never has.
  for (const std::size_t first : {std::size_t{0}, std::size_t{64 * 700}}) {
    std::vector<float> output(64 * kVocab, 0.01f);
    std::fill_n(output.begin() + static_cast<std::ptrdiff_t>(first),
                first == 0 ? output.size() : 64, std::numeric_limits<float>::quiet_NaN());
    const auto model = model_with_output(output);
    const EvalPlan plan = plan_evaluation(*model, some_text(20), {});
    expect_error(ErrorKind::kEvaluation, "not finite", [&] { measure(model, plan); });
  }
}

TEST(Perplexity, BlocksDoNotReachIntoAnotherContext) {
  // Contexts of 32 tokens, half of them with losses of 1 and half with losses of 3: the mean of 64
  // contexts has a standard error of 1 / 8. Blocks of two contexts would all have a mean of 2.
  std::vector<TokenLoss> losses;
  for (int i = 0; i < 64 * 32; ++i) losses.push_back({i / 32 % 2 == 0 ? 1.0 : 3.0, 0});
  const std::vector<std::int64_t> run_lengths(64, 32);
  const PerplexityResult result =
      summarize(losses, std::vector<Token>(losses.size(), 0), run_lengths, 1.0);
  EXPECT_NEAR(result.standard_error_blocks / result.perplexity, 1.0 / 8.0, 0.005);
}

}  // namespace
}  // namespace quant::test
