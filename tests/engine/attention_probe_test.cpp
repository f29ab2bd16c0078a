// What an observer sees of a model's attention.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>
#include <numeric>
#include <ostream>
#include <tuple>
#include <vector>

#include "kernels/kernels.h"
#include "quant/attention_observer.h"
#include "quant/lockstep.h"
#include "quant/session.h"
#include "support/naive_model.h"
#include "support/paths.h"
#include "support/random_tokens.h"
#include "support/through_codes.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

/// Keeps all rows.
class Recorder final : public AttentionObserver {
 public:
  using Place = std::tuple<int, int, int>;  // sequence, layer, head
  struct Row {
    std::int64_t position;
    std::vector<double> weights;
    bool operator==(const Row&) const = default;
  };

  void observe(const AttentionRow& row) noexcept override {
    const std::scoped_lock lock(mutex_);
    rows[{row.sequence, row.layer, row.head}].push_back(
        {row.position, {row.weights.begin(), row.weights.end()}});
  }

  std::map<Place, std::vector<Row>> rows;

 private:
  std::mutex mutex_;
};

struct Case {
  std::string name;
  TinyModelSpec model;
  std::string kv;
  double tolerance = 2e-5;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::vector<Case> cases() {
  TinyModelSpec grouped;
  grouped.n_heads = 8;
  grouped.n_kv_heads = 2;
  // A last-bit difference of a key flips a code now and then, so formats are only right where few
  // codes depend on others: in the first layer.
  return {{"grouped_heads", grouped, "fp32/fp32"},
          {"softcap_and_sliding_window", tiny_spec("gemma2"), "fp32/fp32"},
          {"norms_and_sliding_window", tiny_spec("gemma3"), "fp32/fp32"},
          {"biases", tiny_spec("qwen2"), "fp32/fp32"},
          {"half_precision", grouped, "fp16/fp16"},
          {"window_and_sink", grouped, "uniform_2b/fp32@window=20:sink=3"},
          {"window_and_sink_in_rings", tiny_spec("gemma3"), "turbo_kv_4b/fp32@window=9:sink=2"},
          {"flat", grouped, "turbo_kv_2b/turbo_kv_2b"}};
}

class AttentionProbeCase : public testing::TestWithParam<Case> {};

TEST_P(AttentionProbeCase, SeesWhatADoublePrecisionModelAttendsTo) {
  const TempDir dir;
  const std::string path = write_tiny_model(dir.path(), GetParam().model);
  const KvSpec kv = parse_kv_spec(GetParam().kv, {});
  const std::vector<Token> tokens = random_tokens(90, 5);
  Recorder recorder;
  // No divisor of anything: exact rows come from the sink, the window's ring and the batch.
  Session session(Model::load(path), {.kv = kv, .batch = 23, .observer = &recorder});
  session.append(tokens);
  const bool codes = kv.key.type != KvType::kFp32;
  int compared = 0;
  double largest_change = 0.0;  // of a weight, by what the format does
  const auto compare = [&](int layer, int head, std::int64_t position, const Doubles& weights) {
    if (codes && layer > 0) return;
    const Recorder::Row& row = recorder.rows.at({0, layer, head}).at(std::size_t(position));
    ASSERT_EQ(row.position, position);
    const std::size_t hidden = weights.size() - row.weights.size();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double seen = i < hidden ? 0.0 : row.weights[i - hidden];
      ASSERT_NEAR(seen, weights[i], GetParam().tolerance) << layer << " " << head << " " << i;
      largest_change = std::max(largest_change, std::abs(seen - 1.0 / double(position + 1)));
    }
    EXPECT_NEAR(std::accumulate(row.weights.begin(), row.weights.end(), 0.0), 1.0, 1e-13);
    ++compared;
  };
  NaiveModel(path, 512).logits(tokens, kv, through_codes, compare);
  EXPECT_EQ(compared, 90 * GetParam().model.n_heads * (codes ? 1 : GetParam().model.n_layers));
  EXPECT_GT(largest_change, 0.1);  // attention is not flat, so that the comparison means something
}

INSTANTIATE_TEST_SUITE_P(All, AttentionProbeCase, testing::ValuesIn(cases()),
                         testing::PrintToStringParamName());

std::shared_ptr<const Model> sliding_model() {
  const TempDir dir;
  TinyModelSpec spec = tiny_spec("gemma3");
  spec.n_kv_heads = 1;
  return Model::load(write_tiny_model(dir.path(), spec));
}

TEST(AttentionProbe, RowsDoNotDependOnBatchAndThreads) {
  const auto model = sliding_model();
  const std::vector<Token> tokens = random_tokens(150, 5);
  const KvSpec kv = parse_kv_spec("turbo_kv_4b/q8_0@k-window=40:sink=4", {});
  const auto rows = [&](int batch, int threads, Isa isa) {
    Recorder recorder;
    Session session(
        model, {.kv = kv, .batch = batch, .threads = threads, .isa = isa, .observer = &recorder});
    session.append(tokens);
    return recorder.rows;
  };
  const auto expected = rows(512, 1, best_isa());
  EXPECT_EQ(expected.size(), 12u);
  EXPECT_EQ(rows(1, 2, best_isa()), expected);
  EXPECT_EQ(rows(7, 2, best_isa()), expected);
  EXPECT_EQ(rows(64, 1, Isa::kScalar), expected);
}

TEST(AttentionProbe, LossesAreTheSameBitForBitAndOnlyTargetsAreSeen) {
  const auto model = sliding_model();
  const std::vector<Token> tokens = random_tokens(100, 5);
  std::vector<Token> targets(tokens.begin() + 1, tokens.end());
  targets.push_back(-1);
  for (const std::size_t i : {0u, 1u, 17u, 18u, 60u}) targets[i] = -1;
  for (const MathMode math : {MathMode::kExact, MathMode::kFast}) {
    SessionOptions options{.kv = parse_kv_spec("uniform_2b/q8_0@window=16", {}),
                           .batch = 33,
                           .threads = 2,
                           .math = math};
    const auto losses = [&] {
      std::vector<TokenLoss> found(tokens.size(), {0.0, 0});
      Session(model, options).append(tokens, targets, found);
      return found;
    };
    const std::vector<TokenLoss> without = losses();
    Recorder recorder;
    options.observer = &recorder;
    const std::vector<TokenLoss> with = losses();
    for (std::size_t i = 0; i < with.size(); ++i) EXPECT_EQ(with[i].nll, without[i].nll) << i;
    const auto& rows = recorder.rows.at({0, 1, 2});
    ASSERT_EQ(rows.size(), 94u);
    EXPECT_EQ(rows[0].position, 2);
    EXPECT_EQ(rows[15].position, 19);
    EXPECT_EQ(rows.back().position, 98);
  }
}

TEST(AttentionProbe, SequencesOfALockstepAreThoseOfSingleRuns) {
  const auto model = sliding_model();
  const std::vector<Token> tokens = random_tokens(80, 5);
  const std::vector<KvSpec> specs = {parse_kv_spec("fp32/fp32", {}),
                                     parse_kv_spec("turbo_kv_2b/fp16@window=12:sink=1", {})};
  Recorder together;
  Lockstep lockstep(model, {.kv = {}, .batch = 31, .threads = 2, .observer = &together}, specs);
  std::vector<TokenLoss> losses(2 * tokens.size());
  std::vector<double> divergences(losses.size());
  lockstep.append(tokens, tokens, losses, divergences);
  for (int s = 0; s < 2; ++s) {
    Recorder alone;
    Session session(model, {.kv = specs[std::size_t(s)], .observer = &alone});
    session.append(tokens);
    for (int layer = 0; layer < 3; ++layer) {
      for (int head = 0; head < 4; ++head) {
        EXPECT_EQ(together.rows.at({s, layer, head}), alone.rows.at({0, layer, head}));
      }
    }
  }
}

}  // namespace
}  // namespace quant::test
