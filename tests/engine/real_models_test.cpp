// Perplexity of three real models against an independent engine, token by token.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "quant/perplexity.h"
#include "support/paths.h"
#include "support/reference.h"

namespace quant::test {
namespace {

struct RealModel {
  const char* name;
  double exact_perplexity;
  double stored_noise;  ///< RMS over tokens of (stored loss - exact loss), in nats
};

void PrintTo(const RealModel& model, std::ostream* out) { *out << model.name; }

constexpr RealModel kModels[] = {{"smollm2-135m", 12.5184, 0.084},
                                 {"gemma-3-270m-q4_k_m", 10.0188, 0.096},
                                 {"qwen2.5-0.5b", 16.3295, 0.054}};

class RealModels : public testing::TestWithParam<RealModel> {
 protected:
  static std::filesystem::path reference(const char* suffix) {
    return shared_dir() / "ref" / "real" / (std::string(GetParam().name) + suffix);
  }
  static std::filesystem::path model_path() {
    return models_dir() / (std::string(GetParam().name) + ".gguf");
  }
  static PerplexityResult measure(MathMode math) {
    const auto model = Model::load(model_path().string());
    std::vector<Token> tokens = read_ids(reference(".1k.ids"));
    if (model->tokenizer().add_bos()) tokens.erase(tokens.begin());
    const EvalPlan plan = plan_evaluation(*model, tokens, {});
    const KvSide fp32{KvType::kFp32, 0, 0};
    Session session(model, {.kv = {fp32, fp32},
                            .context = plan.session_context,
                            .reserve = plan.context,
                            .threads = available_cpus(),
                            .math = math});
    return measure_perplexity(session, plan);
  }
};

TEST_P(RealModels, ExactModeEqualsTheReference) {
  QUANT_REQUIRE_PATH(model_path());
  QUANT_REQUIRE_PATH(reference(".exact.nll"));
  const PerplexityResult result = measure(MathMode::kExact);
  const std::vector<ReferenceLoss> expected = read_losses(reference(".exact.nll"));
  ASSERT_EQ(result.losses.size(), expected.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(result.targets[i], expected[i].token);
    EXPECT_NEAR(result.losses[i].nll, expected[i].nll, 0.02) << "token " << i;
    sum += expected[i].nll;
  }
  const double perplexity = std::exp(sum / static_cast<double>(expected.size()));
  EXPECT_NEAR(perplexity, GetParam().exact_perplexity, 1e-3);
  EXPECT_NEAR(result.perplexity / perplexity, 1.0, 1e-4);
}

TEST_P(RealModels, FastModeAddsNoMoreNoiseThanTheOtherEngine) {
  QUANT_REQUIRE_PATH(model_path());
  QUANT_REQUIRE_PATH(reference(".exact.nll"));
  const PerplexityResult result = measure(MathMode::kFast);
  const std::vector<ReferenceLoss> exact = read_losses(reference(".exact.nll"));
  ASSERT_EQ(result.losses.size(), exact.size());
  double squares = 0.0;
  double sum = 0.0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    squares += std::pow(result.losses[i].nll - exact[i].nll, 2);
    sum += exact[i].nll;
  }
  const double n = static_cast<double>(exact.size());
  EXPECT_LE(std::sqrt(squares / n), 1.1 * GetParam().stored_noise);
  EXPECT_NEAR(result.perplexity / std::exp(sum / n), 1.0, 0.008);
}

INSTANTIATE_TEST_SUITE_P(Models, RealModels, testing::ValuesIn(kModels), [](const auto& model) {
  std::string name = model.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

struct Row {
  const char* name;
  KvSpec kv;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

constexpr Row kRows[] = {{"flat", {{KvType::kFp16, 0, 0}, {KvType::kFp16, 0, 0}}},
                         {"windowed", {{KvType::kTurboKv4b, 128, 0}, {KvType::kFp16, 0, 0}}},
                         {"sinks", {{KvType::kUniform2b, 0, 4}, {KvType::kTurboKv4b, 0, 4}}}};

class RealModelInvariance : public testing::TestWithParam<Row> {
 protected:
  struct RunShape {
    int batch;
    int threads;
  };
  static constexpr RunShape kShapes[] = {{512, 1}, {512, 2}, {64, 1}, {64, 2},
                                         {7, 1},   {7, 2},   {1, 1},  {1, 2}};

  /// The perplexity of 500 tokens has the same bits in runs of all shapes.
  static void expect_one_perplexity(MathMode math) {
    const auto model = Model::load((models_dir() / "smollm2-135m.gguf").string());
    std::vector<Token> tokens;
    for (int i = 0; i < 500; ++i) tokens.push_back(100 + (i * 7919) % 40000);
    const EvalPlan plan = plan_evaluation(*model, tokens, {});
    std::optional<double> expected;
    for (const RunShape& shape : kShapes) {
      Session session(model, {.kv = GetParam().kv,
                              .context = plan.context,
                              .reserve = plan.context,
                              .batch = shape.batch,
                              .threads = shape.threads,
                              .math = math});
      const double perplexity = measure_perplexity(session, plan).perplexity;
      if (!expected.has_value()) expected = perplexity;
      EXPECT_EQ(perplexity, *expected) << math_mode_name(math) << ", batch " << shape.batch << ", "
                                       << shape.threads << " threads";
    }
  }
};

TEST_P(RealModelInvariance, BatchAndThreadsDoNotChangeOneBitInFastMode) {
  QUANT_REQUIRE_PATH(models_dir() / "smollm2-135m.gguf");
  expect_one_perplexity(MathMode::kFast);
}

TEST_P(RealModelInvariance, BatchAndThreadsDoNotChangeOneBitInExactMode) {
  QUANT_REQUIRE_PATH(models_dir() / "smollm2-135m.gguf");
  expect_one_perplexity(MathMode::kExact);
}

INSTANTIATE_TEST_SUITE_P(SmolLm2, RealModelInvariance, testing::ValuesIn(kRows),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
