// quant plan: bytes and longest contexts.
#include <gtest/gtest.h>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

nlohmann::json plan(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "plan");
  arguments.insert(arguments.end(), {"--json", "-j", "1"});
  const CommandResult result = run_quant(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.json();
}

TEST(PlanCommand, ThePublishedTableIsOneCommand) {
  const CommandResult text = run_quant({"plan", "--shape", "llama-3.2-3b", "--ram", "8GiB"});
  expect_quiet_success(text);
  for (const char* part : {"fp32/fp32", "7.00 GiB", "uniform_2b/fp16@k-window=512", "2.13 GiB",
                           "longest context", "128K", "8.00 GiB of memory"}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << part << "\n" << text.out;
  }
  const nlohmann::json r = plan({"--shape", "llama-3.2-3b", "--ram", "8GiB"});
  EXPECT_EQ(r["schema_version"], 2);
  EXPECT_EQ(r["rows"][0]["kv_bytes"]["32768"], std::int64_t{7} << 30);
  EXPECT_EQ(r["ram_bytes"], std::int64_t{8} << 30);
  std::int64_t shortest = INT64_MAX;
  for (const nlohmann::json& row : r["rows"]) {
    shortest = std::min(shortest, row["longest_context"].get<std::int64_t>());
  }
  EXPECT_EQ(shortest, r["rows"][0]["longest_context"]);  // of FP32
}

TEST(PlanCommand, OfAModelFile) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  const nlohmann::json r =
      plan({model, "--ram", "64MiB", "-k", "fp32/fp32,turbo_kv_4b@window=16:sink=2", "-v", "q8_0"});
  EXPECT_EQ(r["n_layers"], 2);
  EXPECT_GT(r["weight_bytes"].get<std::int64_t>(), 0);
  ASSERT_EQ(r["rows"].size(), 2u);
  EXPECT_EQ(r["rows"][1]["configuration"], "turbo_kv_4b/q8_0@window=16:sink=2");
  EXPECT_EQ(r["rows"][0]["kv_bytes"]["4096"], 2 * 2 * 2 * 16 * 4 * 4096);
  const nlohmann::json heavier = plan({model, "--ram", "64MiB", "--weights", "60M", "-k", "fp32"});
  EXPECT_LT(heavier["rows"][0]["longest_context"], r["rows"][0]["longest_context"]);
  EXPECT_GT(plan({model})["ram_bytes"].get<std::int64_t>(), std::int64_t{64} << 20);
}

TEST(PlanCommand, AContextOfOnesOwn) {
  const std::vector<std::string> planned = {"plan", "--shape", "llama-3.2-3b", "-k",
                                            "fp16", "-c",      "40000"};
  const nlohmann::json r = plan({planned.begin() + 1, planned.end()});
  ASSERT_EQ(r["rows"][0]["kv_bytes"].size(), 1u);
  // 28 layers, 8 KV heads of 128, keys and values of two bytes.
  EXPECT_EQ(r["rows"][0]["kv_bytes"]["40000"], std::int64_t{28} * 8 * 128 * 2 * 2 * 40000);
  EXPECT_GT(r["working_bytes"]["40000"], 0);
  const CommandResult text = run_quant(planned);
  expect_quiet_success(text);
  EXPECT_NE(text.out.find("| 40000 |"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("at 40000 tokens"), std::string::npos) << text.out;
}

TEST(PlanCommand, WeightsThatAloneAreTooMuch) {
  const std::vector<std::string> planned = {"plan",  "--shape", "llama-3.2-3b", "-k",  "fp16",
                                            "--ram", "2GiB",    "--weights",    "3GiB"};
  const CommandResult text = run_quant(planned);
  expect_quiet_success(text);
  EXPECT_NE(text.out.find("The weights alone"), std::string::npos) << text.out;
  const nlohmann::json r = plan({planned.begin() + 1, planned.end()});
  EXPECT_EQ(r["weights_fit"], false);
  EXPECT_EQ(r["rows"][0]["longest_context"], 0);
}

TEST(PlanCommand, QualityOfAComparisonIsJoined) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  std::string words;
  for (int i = 0; i < 40; ++i) words += "the rain in spain ";
  write_file(dir.path() / "text.txt", words);
  const std::string run = (dir.path() / "run.json").string();
  const std::string list = "turbo_kv_4b/turbo_kv_4b,uniform_2b@k-window=8";
  const CommandResult compared =
      run_quant({"compare", model, "--ppl", (dir.path() / "text.txt").string(), "-k", list,
                 "--json", "-o", run, "-j", "1"});
  ASSERT_EQ(compared.exit_code, 0) << compared.err;
  const nlohmann::json measured = nlohmann::json::parse(read_file(run));
  const nlohmann::json r = plan({model, "-k", list + ",q8_0", "--quality", run});
  EXPECT_EQ(r["rows"][0]["delta_nll"], measured["rows"][0]["delta_nll"]);
  EXPECT_EQ(r["rows"][1]["kl_mean"], measured["rows"][1]["kl_mean"]);
  EXPECT_EQ(r["rows"][1]["verdict"], measured["rows"][1]["verdict"]);
  EXPECT_FALSE(r["rows"][2].contains("verdict"));
  TinyModelSpec other;
  other.seed = 2;
  const TempDir elsewhere;
  expect_refusal(run_quant({"plan", write_tiny_model(elsewhere.path(), other), "--quality", run}),
                 3, {run, "another model", model});
  const CommandResult text = run_quant({"plan", model, "--quality", run});
  expect_quiet_success(text);
  EXPECT_NE(text.out.find("mean KL"), std::string::npos);
}

TEST(PlanCommand, Refusals) {
  expect_refusal(run_quant({"plan"}), 2, {"--shape NAME"});
  expect_refusal(run_quant({"plan", "--shape", "llama-9"}), 2, {"llama-9", "llama-3.2-3b"});
  expect_refusal(run_quant({"plan", "--shape", "llama-3.2-3b", "--ram", "much"}), 2,
                 {"'much'", "8GiB"});
  expect_refusal(run_quant({"plan", "--shape", "llama-3.2-3b", "--ram", "8Gib"}), 2, {"8Gib"});
  expect_refusal(run_quant({"plan", "--shape", "llama-3.2-3b", "-k", "fp16@windwo=3"}), 2,
                 {"windwo", "window"});
  expect_refusal(run_quant({"plan", "--shape", "llama-3.2-3b", "--quality", "/nonexistent"}), 4,
                 {"/nonexistent"});
}

}  // namespace
}  // namespace quant::test
