// Attention over chunks whose scores lie far apart, against a softmax in double precision.
#include "engine/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/splitmix64.h"
#include "base/to_size.h"

namespace quant::test {
namespace {

constexpr int kDim = 16;
constexpr int kGroup = 3;
constexpr int kPositions = 2 * Attention::kChunk + 9;

/// A token at the end of kPositions whose score at position p is scores[p] for each of kGroup
/// heads, and what it attends to.
struct OneToken {
  explicit OneToken(KvType type, std::vector<float> wanted)
      : scores(std::move(wanted)),
        keys(KvRole::kKeys, {type, 0, 0}, 1, kDim, 0, 1),
        values(KvRole::kValues, {KvType::kFp32, 0, 0}, 1, kDim, 0, 1) {
    SplitMix64 random(3);
    keys.reserve(kPositions);
    values.reserve(kPositions);
    const Kernels& scalar = kernels_for(Isa::kScalar);
    for (int p = 0; p < kPositions; ++p) {
      std::vector<float> key(kDim, 0.0f);
      key[0] = scores[to_size(p)];
      rows.emplace_back();
      for (int j = 0; j < kDim; ++j) {
        rows.back().push_back(static_cast<float>(random.uniform()) * 2.0f - 1.0f);
      }
      EXPECT_TRUE(keys.encode(kv_kernels(scalar, type), 0, p, key.data()));
      EXPECT_TRUE(values.encode(kv_kernels(scalar, KvType::kFp32), 0, p, rows.back().data()));
    }
  }

  std::vector<float> attend(Isa isa, MathMode math, int threads, float query = 1.0f) {
    ModelConfig config;
    config.n_layers = 1;
    config.n_heads = kGroup;
    config.n_kv_heads = 1;
    config.key_dim = config.value_dim = kDim;
    config.layers.resize(1);
    Attention attention(config, kernels_for(isa), math, threads, 1);
    attention.reserve(kPositions);
    std::vector<float> queries(kGroup * kDim, 0.0f);
    for (int head = 0; head < kGroup; ++head) queries[to_size(head * kDim)] = query;
    std::vector<float> out(kGroup * kDim);
    attention(keys, values,
              {.first_position = kPositions - 1,
               .n_tokens = 1,
               .sliding_window = 0,
               .queries = queries.data(),
               .exact_keys = nullptr,
               .exact_values = nullptr,
               .out = out.data()});
    return out;
  }

  std::vector<double> expected() const {
    double top = -HUGE_VAL;
    for (const float s : scores) top = std::max(top, static_cast<double>(s));
    std::vector<double> sum(kDim, 0.0);
    double total = 0.0;
    for (std::size_t p = 0; p < scores.size(); ++p) {
      const double weight = std::exp(static_cast<double>(scores[p]) - top);
      total += weight;
      for (std::size_t j = 0; j < sum.size(); ++j) {
        sum[j] += weight * static_cast<double>(rows[p][j]);
      }
    }
    for (double& s : sum) s /= total;
    return sum;
  }

  std::vector<float> scores;
  std::vector<std::vector<float>> rows;
  KvStore keys;
  KvStore values;
};

/// Scores of each chunk around a level of its own.
std::vector<float> scores_around(const std::vector<float>& levels) {
  SplitMix64 random(5);
  std::vector<float> scores;
  for (int p = 0; p < kPositions; ++p) {
    const float level = levels[to_size(p / Attention::kChunk)];
    scores.push_back(level + static_cast<float>(random.below(16)) * 0.125f);
  }
  return scores;
}

TEST(AttentionTest, ChunksMayLieFarApart) {
  for (const float step : {0.0f, 3.0f, 60.0f, 87.0f, 88.0f, 400.0f}) {
    for (const std::vector<float>& levels :
         {std::vector<float>{0.0f, step, -step}, std::vector<float>{step, 0.0f, step},
          std::vector<float>{-step, -step, 0.0f}}) {
      OneToken exact(KvType::kFp32, scores_around(levels));
      OneToken half(KvType::kFp16, scores_around(levels));
      const std::vector<double> expected = exact.expected();
      for (const Isa isa : available_isas()) {
        for (const int threads : {1, 2, 3}) {
          const auto context = ::testing::Message()
                               << isa_name(isa) << ", levels " << levels[0] << " " << levels[1]
                               << " " << levels[2] << ", " << threads << " threads";
          const std::vector<float> got = exact.attend(isa, MathMode::kExact, threads);
          const std::vector<float> fast = half.attend(isa, MathMode::kFast, threads);
          for (std::size_t i = 0; i < got.size(); ++i) {
            ASSERT_NEAR(got[i], expected[i % kDim], 2e-6) << context;
            // Scores are multiples of 15 bits of the largest.
            ASSERT_NEAR(fast[i], expected[i % kDim], 1e-3 + 2.5e-5 * static_cast<double>(step))
                << context;
          }
        }
      }
    }
  }
}

TEST(AttentionTest, AScoreThatIsNotFiniteGivesNaN) {
  for (const int chunk : {0, 1, 2}) {
    std::vector<float> scores(kPositions, 0.0f);
    scores[to_size(chunk * Attention::kChunk + 5)] = 1e30f;
    OneToken token(KvType::kFp32, scores);
    for (const Isa isa : available_isas()) {
      for (const int threads : {1, 2, 3}) {
        for (const float out : token.attend(isa, MathMode::kExact, threads, 1e30f)) {
          ASSERT_TRUE(std::isnan(out)) << isa_name(isa) << ", chunk " << chunk;
        }
      }
    }
  }
}

}  // namespace
}  // namespace quant::test
