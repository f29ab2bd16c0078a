// quant diverge: greedy texts of a format beside those of an FP32 cache.
#include <gtest/gtest.h>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

class DivergeCommand : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    write_file(dir.path() / name, text);
    return (dir.path() / name).string();
  }
  CommandResult diverge(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(),
                     {"diverge", model, "--prompts", prompts, "-n", "40", "-j", "1"});
    return run_quant(arguments);
  }

  TempDir dir;
  std::string model = write_tiny_model(dir.path(), {});
  std::string prompts =
      write("prompts.txt", "the rain in spain\n\nstays mainly\r\n  \nin the plain");
};

TEST_F(DivergeCommand, AnFp32CacheAgreesWithItself) {
  const CommandResult result = diverge({"-k", "fp32", "-v", "fp32", "--json"});
  expect_quiet_success(result);
  const nlohmann::json record = result.json();
  EXPECT_EQ(record["prompts"], 3);
  EXPECT_EQ(record["identical"], 3);
  ASSERT_EQ(record["rows"].size(), 3u);
  EXPECT_EQ(record["rows"][1]["prompt"], "stays mainly");
  for (const nlohmann::json& row : record["rows"]) {
    EXPECT_TRUE(row["first_difference"].is_null());
    EXPECT_EQ(row["text"], row["baseline_text"]);
    EXPECT_EQ(row["loop"], row["baseline_loop"]);
  }
  EXPECT_EQ(record["math"], "exact");
  EXPECT_EQ(record["n_predict"], 40);
}

TEST_F(DivergeCommand, TextsAreThoseOfGeneration) {
  const nlohmann::json record = diverge({"-k", "uniform_2b", "-v", "uniform_2b", "--json"}).json();
  EXPECT_EQ(record["key_type"], "uniform_2b");
  EXPECT_LT(record["identical"].get<int>(), 3);
  const auto text = [&](const std::string& type) {
    return run_quant({model, "-p", "in the plain", "-n", "40", "--math", "exact", "-k", type, "-v",
                      type, "--json", "-j", "1"})
        .json();
  };
  const nlohmann::json row = record["rows"][2];
  EXPECT_EQ(row["text"], text("uniform_2b")["text"]);
  EXPECT_EQ(row["baseline_text"], text("fp32")["text"]);
  const nlohmann::json ours = text("uniform_2b")["tokens"];
  const nlohmann::json theirs = text("fp32")["tokens"];
  if (!row["first_difference"].is_null()) {
    const std::size_t at = row["first_difference"];
    for (std::size_t i = 0; i < at; ++i) EXPECT_EQ(ours.at(i), theirs.at(i));
    EXPECT_TRUE(at == std::min(ours.size(), theirs.size()) || ours.at(at) != theirs.at(at));
  }
}

TEST_F(DivergeCommand, ReportAndStandardInput) {
  const CommandResult report = diverge({"-k", "uniform_2b", "-v", "uniform_2b"});
  expect_quiet_success(report);
  for (const char* part : {"first difference", "3 prompts", "up to 40 tokens", "median", "loops"}) {
    EXPECT_NE(report.out.find(part), std::string::npos) << part << "\n" << report.out;
  }
  const CommandResult piped = Command({"diverge", model, "--prompts", "-", "-n", "5", "--json"})
                                  .pipe_in("the rain\n")
                                  .run();
  expect_quiet_success(piped);
  EXPECT_EQ(piped.json()["prompts"], 1);
}

TEST_F(DivergeCommand, ChatIsThatOfGeneration) {
  const std::string chat = (dir.path() / "chat.gguf").string();
  tiny_model({}).add("tokenizer.chat_template", "<|im_start|> and <|im_end|>").write(chat);
  const std::string one = write("one.txt", "the rain\n");
  const auto first_row = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"diverge", chat, "--prompts", one,     "-n",
                                          "8",       "-j", "1",         "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_quant(arguments).json()["rows"][0];
  };
  const nlohmann::json generated = run_quant({chat, "-p", "the rain", "--chat", "--math", "exact",
                                              "-n", "8", "-j", "1", "--json"})
                                       .json();
  const nlohmann::json row = first_row({"--chat"});
  EXPECT_EQ(row["prompt"], "the rain");
  EXPECT_EQ(row["prompt_tokens"], generated["prompt_tokens"]);
  EXPECT_EQ(row["text"], generated["text"]);
  EXPECT_LT(first_row({})["prompt_tokens"], row["prompt_tokens"]);
  expect_refusal(diverge({"--chat"}), 2, {"--chat", "no chat template"});
}

TEST_F(DivergeCommand, Refusals) {
  expect_refusal(run_quant({"diverge", model}), 2, {"--prompts"});
  expect_refusal(run_quant({"diverge", model, "--prompts", write("empty.txt", "\n \n")}), 2,
                 {"empty.txt", "no prompts"});
  expect_refusal(diverge({"-n", "600"}), 2, {"-n 600", "context of 512"});
  expect_refusal(diverge({"-n", "0"}), 2, {"-n"});
  const std::string missing = (dir.path() / "missing.txt").string();
  expect_refusal(run_quant({"diverge", model, "--prompts", missing}), 4, {missing});
}

}  // namespace
}  // namespace quant::test
