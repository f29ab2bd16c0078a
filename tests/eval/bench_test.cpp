// What a measurement of speed says besides the speed, and what it cannot measure.
#include "quant/bench.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

TEST(Bench, CountsWhatTheWeightsTake) {
  const TempDir dir;
  const TinyModelSpec spec = tiny_mixed_spec();
  const auto model = Model::load(write_tiny_model(dir.path(), spec));
  Session session(model, {.kv = {}, .math = MathMode::kFast});
  const BenchResult r = measure_speed(session, 3, {.prefill = 2, .decode = 2, .repetitions = 1});
  const int attention = 2 * spec.n_heads * spec.head_dim + 2 * spec.n_kv_heads * spec.head_dim;
  const int products = spec.n_layers * spec.n_embd * (attention + 3 * spec.n_ff);
  const int output = spec.n_vocab * spec.n_embd;
  EXPECT_EQ(r.prefill_int8_products, 2 * products);
  EXPECT_EQ(r.prefill_float_products, output);  // F16, for the last token's logits
  // 34 bytes for 32 values of Q8_0.
  EXPECT_EQ(r.decode_weight_bytes, static_cast<std::size_t>(products / 32 * 34 + output * 2));
  Session exact(model, {.kv = {}, .math = MathMode::kExact});
  const BenchResult all_floats =
      measure_speed(exact, 0, {.prefill = 2, .decode = 0, .repetitions = 1});
  EXPECT_EQ(all_floats.prefill_int8_products, 0.0);
  EXPECT_EQ(all_floats.prefill_float_products, 2 * products + output);
}

TEST(Bench, ProgressGoesFromTheFirstTokenToTheLast) {
  const TempDir dir;
  Session session(Model::load(write_tiny_model(dir.path(), {})), {.kv = {}, .batch = 16});
  std::vector<int> seen;
  measure_speed(session, 40, {.prefill = 2, .decode = 3, .repetitions = 1},
                [&](std::int64_t done, std::int64_t total) {
                  EXPECT_EQ(total, 50);
                  seen.push_back(static_cast<int>(done));
                });
  EXPECT_EQ(seen, (std::vector<int>{16, 32, 40, 42, 45, 47, 50}));
}

TEST(Bench, NeedsARepetition) {
  const TempDir dir;
  Session session(Model::load(write_tiny_model(dir.path(), {})), {});
  expect_error(ErrorKind::kUsage, "repetition",
               [&] { measure_speed(session, 0, {.prefill = 1, .decode = 1, .repetitions = 0}); });
}

TEST(Bench, TokensAreOfTheVocabularyAndTheSameEachTime) {
  const std::vector<Token> tokens = bench_tokens(1000, 7);
  EXPECT_EQ(tokens, bench_tokens(1000, 7));
  for (const Token token : tokens) EXPECT_TRUE(token >= 0 && token < 7);
}

}  // namespace
}  // namespace quant::test
