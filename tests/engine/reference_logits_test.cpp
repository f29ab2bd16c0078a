// Logits of tiny random models against an independent engine: one or two layers, so that a wrong
// number is found where it arises.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quant/session.h"
#include "support/paths.h"
#include "support/reference.h"

namespace quant::test {
namespace {

constexpr double kExactLimit = 0.002;

std::vector<LogitReference> all_references() {
  std::vector<LogitReference> all = read_references(shared_dir() / "ref" / "tiny" / "tiny.json");
  const std::vector<LogitReference> own = read_references(data_dir() / "peer" / "peer.json");
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

double largest_difference(const LogitReference& reference, MathMode math) {
  SessionOptions options;
  options.kv.key.type = options.kv.value.type = KvType::kFp32;
  options.context = reference.context;
  options.math = math;
  Session session(Model::load(reference.model.string()), options);
  const std::vector<float> logits = session.append_with_logits(reference.tokens);
  const FloatArray expected = read_npy(reference.logits);
  EXPECT_EQ(logits.size(), expected.values.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double difference =
        std::abs(static_cast<double>(logits[i]) - static_cast<double>(expected.values[i]));
    largest = std::max(largest, std::isfinite(difference) ? difference : HUGE_VAL);
  }
  return largest;
}

class ReferenceLogits : public testing::TestWithParam<LogitReference> {};

TEST_P(ReferenceLogits, ExactModeAgrees) {
  EXPECT_LE(largest_difference(GetParam(), MathMode::kExact), kExactLimit);
}

TEST_P(ReferenceLogits, FastModeIsNoFartherThanTheOtherEngine) {
  const double limit = std::max(0.005, 1.5 * GetParam().stored_max_difference);
  EXPECT_LE(largest_difference(GetParam(), MathMode::kFast), limit);
}

INSTANTIATE_TEST_SUITE_P(Models, ReferenceLogits, testing::ValuesIn(all_references()),
                         testing::PrintToStringParamName());

TEST(ReferenceFiles, AllTinyModelsAreThere) {
  QUANT_REQUIRE_PATH(shared_dir() / "ref" / "tiny");
  EXPECT_EQ(read_references(shared_dir() / "ref" / "tiny" / "tiny.json").size(), 18u);
}

}  // namespace
}  // namespace quant::test
