// Several formats in one pass: every loss is that of a session of its own, every divergence that of
// the logits.
#include "quant/lockstep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/expect_error.h"
#include "support/paths.h"
#include "support/random_tokens.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

constexpr int kVocab = 1001;  // no multiple of a tile or of a panel

std::shared_ptr<const Model> model_of(TensorType type) {
  const TempDir dir;
  TinyModelSpec spec = tiny_spec("gemma3");
  spec.n_heads = 4;
  spec.n_kv_heads = 2;
  spec.n_vocab = kVocab;
  spec.weight_type = type;
  return Model::load(write_tiny_model(dir.path(), spec));
}

std::vector<KvSpec> some_specs() {
  std::vector<KvSpec> specs;
  for (const char* text : {"fp32/fp32", "turbo_kv_4b/turbo_kv_4b@window=24:sink=4",
                           "uniform_2b/fp16@k-window=40", "q8_0/q8_0", "turbo_kv_2b/uniform_2b"}) {
    specs.push_back(parse_kv_spec(text, {}));
  }
  return specs;
}

/// Losses and divergences of all tokens but the last, [specs][tokens - 1].
struct Measured {
  std::vector<TokenLoss> losses;
  std::vector<double> divergences;
};

Measured measure(const std::shared_ptr<const Model>& model, const SessionOptions& options,
                 const std::vector<KvSpec>& specs, const std::vector<Token>& tokens) {
  Lockstep lockstep(model, options, specs);
  const std::size_t n = tokens.size() - 1;
  Measured measured{std::vector<TokenLoss>(n * specs.size()),
                    std::vector<double>(n * specs.size(), -1.0)};
  lockstep.append(std::span(tokens).first(n), std::span(tokens).subspan(1), measured.losses,
                  measured.divergences);
  return measured;
}

std::vector<TokenLoss> alone(const std::shared_ptr<const Model>& model, SessionOptions options,
                             const KvSpec& spec, const std::vector<Token>& tokens) {
  options.kv = spec;
  options.batch = 512;
  Session session(model, options);
  std::vector<TokenLoss> losses(tokens.size() - 1);
  session.append(std::span(tokens).first(losses.size()), std::span(tokens).subspan(1), losses);
  return losses;
}

TEST(Lockstep, LossesAreThoseOfSingleRunsBitForBit) {
  const auto model = model_of(TensorType::kQ8_0);
  const std::vector<Token> tokens = random_tokens(130, 7, kVocab);
  const std::vector<KvSpec> specs = some_specs();
  for (const MathMode math : {MathMode::kExact, MathMode::kFast}) {
    SessionOptions options{.kv = {}, .math = math};
    std::vector<TokenLoss> expected;
    for (const KvSpec& spec : specs) {
      const std::vector<TokenLoss> losses = alone(model, options, spec, tokens);
      expected.insert(expected.end(), losses.begin(), losses.end());
    }
    for (const auto& [batch, threads] : {std::pair{1, 1}, {7, 1}, {64, 2}, {512, 1}}) {
      options.batch = batch;
      options.threads = threads;
      const Measured measured = measure(model, options, specs, tokens);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(measured.losses[i].nll, expected[i].nll)
            << math_mode_name(math) << ", batch " << batch << ", row " << i;
        ASSERT_EQ(measured.losses[i].argmax, expected[i].argmax);
      }
    }
  }
}

/// KL(base ‖ other) in double precision.
double divergence(std::span<const float> base, std::span<const float> other) {
  const auto log_sum_exp = [](std::span<const float> logits) {
    const double top = static_cast<double>(*std::ranges::max_element(logits));
    double sum = 0.0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x) - top);
    return std::log(sum) + top;
  };
  const double base_sum = log_sum_exp(base);
  const double other_sum = log_sum_exp(other);
  double kl = 0.0;
  for (std::size_t v = 0; v < base.size(); ++v) {
    const double b = static_cast<double>(base[v]) - base_sum;
    kl += std::exp(b) * (b - (static_cast<double>(other[v]) - other_sum));
  }
  return kl;
}

TEST(Lockstep, DivergencesAreThoseOfTheLogitsInDoublePrecision) {
  const auto model = model_of(TensorType::kF32);
  const std::vector<Token> tokens = random_tokens(90, 7, kVocab);
  const std::vector<KvSpec> specs = some_specs();
  const std::size_t n = tokens.size() - 1;
  std::vector<std::vector<float>> logits;
  for (const KvSpec& spec : specs) {
    Session session(model, {.kv = spec});
    logits.push_back(session.append_with_logits(std::span(tokens).first(n)));
  }
  const Measured measured = measure(model, {.kv = {}, .batch = 64}, specs, tokens);
  double largest = 0.0;
  for (std::size_t s = 0; s < specs.size(); ++s) {
    for (std::size_t i = 0; i < n; ++i) {
      const double expected = divergence(std::span(logits[0]).subspan(i * kVocab, kVocab),
                                         std::span(logits[s]).subspan(i * kVocab, kVocab));
      const double got = measured.divergences[s * n + i];
      EXPECT_NEAR(got, expected, 1e-7 + 1e-5 * expected) << kv_spec_text(specs[s]) << " " << i;
      if (s == 0) {
        EXPECT_EQ(got, 0.0);
      }
      largest = std::max(largest, got);
    }
  }
  EXPECT_GT(largest, 1e-4);  // the formats do differ
}

TEST(Lockstep, TheSameFormatTwiceDoesNotDiverge) {
  const auto model = model_of(TensorType::kF32);
  const KvSpec spec = parse_kv_spec("uniform_2b/uniform_2b", {});
  const std::vector<Token> tokens = random_tokens(60, 7, kVocab);
  const Measured measured = measure(model, {.kv = {}, .batch = 16}, {spec, spec}, tokens);
  for (const double kl : measured.divergences) EXPECT_EQ(kl, 0.0);
}

TEST(Lockstep, MoreSequencesThanATileHasRows) {
  const auto model = model_of(TensorType::kF32);
  const std::vector<Token> tokens = random_tokens(9, 7, kVocab);
  std::vector<KvSpec> specs(131, parse_kv_spec("q8_0/q8_0", {}));
  specs.front() = parse_kv_spec("fp32/fp32", {});
  const Measured measured = measure(model, {.kv = {}, .batch = 4}, specs, tokens);
  const std::vector<TokenLoss> expected = alone(model, {}, specs.back(), tokens);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(measured.losses[130 * expected.size() + i].nll, expected[i].nll);
  }
}

TEST(Lockstep, TokensWithoutTargetsAreLeftAlone) {
  const auto model = model_of(TensorType::kF32);
  Lockstep lockstep(model, {.kv = {}, .batch = 2}, some_specs());
  const std::vector<Token> tokens = {5, 6, 7};
  const std::vector<Token> targets = {-1, -1, 9};
  std::vector<TokenLoss> losses(15, {-5.0, -5});
  std::vector<double> divergences(15, -5.0);
  lockstep.append(tokens, targets, losses, divergences);
  for (std::size_t s = 0; s < 5; ++s) {
    EXPECT_EQ(losses[s * 3].nll, -5.0);
    EXPECT_EQ(divergences[s * 3 + 1], -5.0);
    EXPECT_GT(losses[s * 3 + 2].nll, 0.0);
    EXPECT_GE(divergences[s * 3 + 2], 0.0);
  }
}

TEST(Lockstep, Refusals) {
  const auto model = model_of(TensorType::kF32);
  expect_error(ErrorKind::kUsage, "no KV format", [&] { Lockstep(model, {}, {}); });
  Lockstep lockstep(model, {}, some_specs());
  const std::vector<Token> tokens = {5, 6};
  std::vector<TokenLoss> losses(10);
  std::vector<double> too_few(9);
  expect_error(ErrorKind::kUsage, "and a loss",
               [&] { lockstep.append(tokens, tokens, losses, too_few); });
}

}  // namespace
}  // namespace quant::test
