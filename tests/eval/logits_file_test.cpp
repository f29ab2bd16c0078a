// llama.cpp's files of log-probabilities, and the KL divergence computed from them.
#include "quant/logits_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "quant/kl_divergence.h"
#include "support/expect_error.h"
#include "support/gguf_writer.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

/// One row of logits that spreads over more than the format's range of 16.
std::vector<float> some_logits(int n, int seed, float spread = 30.0f) {
  std::vector<float> logits;
  for (int i = 0; i < n; ++i) {
    logits.push_back(spread * std::sin(static_cast<float>(i * i + seed)));
  }
  return logits;
}

double log_softmax(const std::vector<float>& logits, Token token) {
  double sum = 0.0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  return static_cast<double>(logits[static_cast<std::size_t>(token)]) - std::log(sum);
}

class LogitsFile : public testing::Test {
 protected:
  /// A file of `chunks` contexts of 8, with rows of some_logits(n_vocab, number of the row).
  std::string bytes_of(int n_vocab, int chunks) const {
    LogitsHeader header{.context = 8, .n_vocab = n_vocab, .chunks = chunks, .tokens = {}};
    for (int i = 0; i < 8 * chunks; ++i) header.tokens.push_back(i % n_vocab);
    std::string bytes;
    LogitsWriter writer(header, [&](std::string_view piece) { bytes += piece; });
    for (int row = 0; row < header.rows(); ++row) writer.add(some_logits(n_vocab, row));
    return bytes;
  }
  std::string write(const std::string& bytes) const {
    const auto path = dir.path() / "base.bin";
    write_file(path, bytes);
    return path.string();
  }

  TempDir dir;
};

TEST_F(LogitsFile, IsLaidOutAsDocumented) {
  const std::string bytes = bytes_of(5, 2);
  // Three rows a chunk of 8, six codes a row.
  ASSERT_EQ(bytes.size(), 8u + 12 + 16 * 4 + 6 * (8 + 12));
  EXPECT_EQ(bytes.substr(0, 8), "_logits_");
  std::int32_t numbers[4];
  std::memcpy(numbers, bytes.data() + 8, sizeof(numbers));
  EXPECT_EQ(numbers[0], 8);
  EXPECT_EQ(numbers[1], 5);
  EXPECT_EQ(numbers[2], 2);
  EXPECT_EQ(numbers[3], 0);
  EXPECT_EQ(bytes.substr(bytes.size() - 2), std::string(2, '\0'));  // padding
}

TEST_F(LogitsFile, GivesBackLogProbabilitiesWithinHalfAStep) {
  for (const int n_vocab : {5, 300}) {
    const LogitsReader reader(write(bytes_of(n_vocab, 2)));
    EXPECT_EQ(reader.header().context, 8);
    EXPECT_EQ(reader.header().n_vocab, n_vocab);
    EXPECT_EQ(reader.header().chunks, 2);
    EXPECT_EQ(reader.header().tokens.size(), 16u);
    ASSERT_EQ(reader.header().rows(), 6);
    for (int row = 0; row < 6; ++row) {
      const std::vector<float> logits = some_logits(n_vocab, row);
      const float top = *std::ranges::max_element(logits);
      const LogProbabilities stored = reader.row(row);
      ASSERT_EQ(stored.codes.size(), logits.size());
      for (Token v = 0; v < n_vocab; ++v) {
        const bool in_range = logits[static_cast<std::size_t>(v)] > top - 16.0f;
        if (in_range) {
          EXPECT_NEAR(stored.of(v), log_softmax(logits, v), 0.51 * 16.0 / 65535.0 + 4e-6);
        } else {
          EXPECT_EQ(stored.codes[static_cast<std::size_t>(v)], 0);
        }
      }
    }
  }
}

TEST_F(LogitsFile, EqualLogitsHaveNoScale) {
  LogitsHeader header{.context = 4, .n_vocab = 3, .chunks = 1, .tokens = {0, 1, 2, 0}};
  std::string bytes;
  LogitsWriter writer(header, [&](std::string_view piece) { bytes += piece; });
  writer.add(std::vector<float>{2.0f, 2.0f, 2.0f});
  const LogitsReader reader(write(bytes));
  for (Token v = 0; v < 3; ++v) EXPECT_NEAR(reader.row(0).of(v), -std::log(3.0), 1e-6);
}

TEST_F(LogitsFile, RefusesWhatIsNone) {
  const std::string good = bytes_of(5, 2);
  const auto refused = [&](const std::string& bytes, const std::string& text) {
    const std::string path = write(bytes);
    expect_error(ErrorKind::kIo, text, [&] { LogitsReader reader(path); });
    expect_error(ErrorKind::kIo, path, [&] { LogitsReader reader(path); });
  };
  refused(good.substr(0, good.size() - 1), "did not end");
  refused(good + "x", "did not end");
  refused(good.substr(0, 19), "not a file of log-probabilities");
  refused("_Logits_" + good.substr(8), "not a file of log-probabilities");
  for (const auto& [at, value] : {std::pair{8, 0},
                                  {8, -8},
                                  {8, 0x7fffffff},
                                  {12, 0},
                                  {12, -1},
                                  {12, 0x7fffffff},
                                  {16, 0},
                                  {16, -5},
                                  {16, 0x7fffffff}}) {
    std::string damaged = good;
    const std::int32_t number = value;
    std::memcpy(damaged.data() + at, &number, sizeof(number));
    refused(damaged, "not possible");
  }
  expect_error(ErrorKind::kIo, "missing.bin",
               [&] { LogitsReader reader((dir.path() / "missing.bin").string()); });
}

TEST_F(LogitsFile, KlDivergenceIsThatOfDoublePrecision) {
  const int n_vocab = 300;
  const LogitsReader reader(write(bytes_of(n_vocab, 2)));
  for (int row = 0; row < 6; ++row) {
    const std::vector<float> base = some_logits(n_vocab, row);
    std::vector<float> logits = some_logits(n_vocab, row);
    for (int i = 0; i < n_vocab; ++i)
      logits[static_cast<std::size_t>(i)] += i % 7 == row ? 2.0f : 0.0f;
    const Token target = 40 + row;
    const TokenLoss loss{-log_softmax(logits, target),
                         static_cast<Token>(std::ranges::max_element(logits) - logits.begin())};
    double expected = 0.0;
    for (Token v = 0; v < n_vocab; ++v) {
      const double p = log_softmax(base, v);
      expected += std::exp(p) * (p - log_softmax(logits, v));
    }
    const TokenKl token = token_kl(reader.row(row), logits, target, loss);
    EXPECT_GT(expected, 0.01);
    // What is left out has a probability below e^-16 each.
    EXPECT_NEAR(token.kl, expected, 2e-4);
    if (log_softmax(base, target) > -15.0) {
      EXPECT_NEAR(token.base_nll, -log_softmax(base, target), 2e-4);
      EXPECT_NEAR(token.delta_nll, loss.nll + log_softmax(base, target), 2e-4);
    }
    EXPECT_NEAR(token.delta_p, std::exp(-loss.nll) - std::exp(log_softmax(base, target)), 1e-4);
    const auto top = std::ranges::max_element(base) - base.begin();
    EXPECT_EQ(token.same_top1, top == loss.argmax);
  }
}

TEST_F(LogitsFile, SummaryOfKnownTokens) {
  std::vector<TokenKl> tokens;
  for (int i = 100; i >= 0; --i) {
    tokens.push_back({.kl = static_cast<double>(i),
                      .base_nll = 2.0,
                      .delta_nll = i % 2 == 0 ? 0.5 : -0.5,
                      .delta_p = i % 2 == 0 ? 0.1 : -0.1,
                      .same_top1 = i >= 26});
  }
  const KlSummary summary = summarize_kl(tokens);
  EXPECT_DOUBLE_EQ(summary.divergence.kl_mean, 50.0);
  EXPECT_DOUBLE_EQ(summary.divergence.kl_p50, 50.0);
  EXPECT_DOUBLE_EQ(summary.divergence.kl_p90, 90.0);
  EXPECT_DOUBLE_EQ(summary.divergence.kl_p95, 95.0);
  EXPECT_DOUBLE_EQ(summary.divergence.kl_p99, 99.0);
  EXPECT_NEAR(summary.divergence.kl_p999, 99.9, 1e-9);
  EXPECT_EQ(summary.divergence.kl_max, 100.0);
  EXPECT_NEAR(summary.divergence.same_top1, 75.0 / 101.0, 1e-12);
  EXPECT_NEAR(summary.divergence.delta_p_rms, 0.1, 1e-12);
  EXPECT_NEAR(summary.delta_nll, 0.5 / 101.0, 1e-12);
  EXPECT_NEAR(summary.base_perplexity, std::exp(2.0), 1e-9);
}

TEST(PlanOfLogits, HasTheChunksWithBosOverTheirFirstToken) {
  const TempDir dir;
  const auto model = Model::load(write_tiny_model(dir.path(), {}));
  std::vector<Token> text;
  for (int i = 0; i < 100; ++i) text.push_back(i);
  const EvalPlan plan =
      plan_evaluation(*model, text, {.protocol = Protocol::kLlamaCpp, .context = 16, .chunks = 3});
  LogitsHeader header = logits_header(*model, plan, text);
  EXPECT_EQ(header.tokens[0], 256);
  EXPECT_EQ(header.tokens[16], 15);  // under the BOS of the second chunk
  EXPECT_EQ(header.tokens.size(), 48u);
  EXPECT_EQ(header.rows(), plan.scored_tokens());
  const EvalPlan again = plan_of(*model, header);
  ASSERT_EQ(again.windows.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(again.windows[i].tokens, plan.windows[i].tokens);
    EXPECT_EQ(again.windows[i].first_scored, plan.windows[i].first_scored);
  }
  LogitsHeader fewer = header;
  fewer.keep_chunks(2);
  require_same_tokens(header, fewer);
  expect_error(ErrorKind::kUsage, "other tokens", [&] { require_same_tokens(fewer, header); });
  fewer.tokens[20] = 0;
  expect_error(ErrorKind::kUsage, "first 20 tokens are the same",
               [&] { require_same_tokens(header, fewer); });
  header.n_vocab = 500;
  expect_error(ErrorKind::kModel, "another vocabulary", [&] { plan_of(*model, header); });
}

}  // namespace
}  // namespace quant::test
