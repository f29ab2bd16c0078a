// quant attention, and the attention on exact rows that --attention-mass adds to other records.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

std::string some_text(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += static_cast<char>('A' + (i * i + i / 7) % 26);
  return text;
}

TinyModelSpec long_model() {
  TinyModelSpec spec = tiny_spec("gemma3");
  spec.context_length = 4096;
  return spec;
}

class AttentionCommand : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& contents) const {
    write_file(dir.path() / name, contents);
    return (dir.path() / name).string();
  }
  CommandResult attention(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"attention", model, "--ppl", text, "-j", "1"});
    return run_quant(arguments);
  }

  TempDir dir;
  std::string model = write_tiny_model(dir.path(), long_model());
  std::string text = write("text.txt", some_text(399));
};

double sum(const nlohmann::json& numbers) {
  double all = 0.0;
  for (const nlohmann::json& number : numbers) all += number.get<double>();
  return all;
}

TEST_F(AttentionCommand, RecordAddsUp) {
  const CommandResult result = attention({"--json", "--hold", "50,99.5", "--first", "2"});
  expect_quiet_success(result);
  const nlohmann::json r = result.json();
  EXPECT_EQ(r["schema_version"], 1);
  EXPECT_EQ(r["key_type"], "fp16");
  EXPECT_EQ(r["context"], 400);
  EXPECT_EQ(r["from"], 300);  // three quarters of a short context
  EXPECT_EQ(r["counted_queries"], 99);
  EXPECT_EQ(r["texts"][0]["text_path"], text);
  EXPECT_EQ(r["claim"], "not seen");
  ASSERT_EQ(r["layers"].size(), 3u);
  EXPECT_EQ(r["layers"][0]["sliding_window"], 32);
  EXPECT_EQ(r["layers"][2]["sliding_window"], 0);
  EXPECT_EQ(r["global_layers"]["layers"], 1);
  EXPECT_EQ(r["distances"].back()["end"], 400);
  double all = 0.0;
  for (const nlohmann::json& layer : r["layers"]) {
    ASSERT_EQ(layer["heads"].size(), 4u);
    double of_heads = 0.0;
    for (const nlohmann::json& head : layer["heads"]) {
      EXPECT_NEAR(head["first"].get<double>() + sum(head["shares"]), 1.0, 1e-12);
      of_heads += head["shares"][0].get<double>() / 4;
    }
    EXPECT_NEAR(layer["shares"][0].get<double>(), of_heads, 1e-12);
    EXPECT_EQ(layer["windows"][0]["hold"], 50.0);
    EXPECT_EQ(layer["windows"][1]["hold"], 99.5);
    const bool sliding = layer["sliding_window"] != 0;
    EXPECT_EQ(layer["first"] == 0.0, sliding);
    EXPECT_EQ(layer["windows"][1]["window"].get<int>() <= 32, sliding);
    EXPECT_NEAR(layer["last_500"].get<double>(), 1.0, 1e-12);
    all += layer["shares"][5].get<double>() / 3;
  }
  EXPECT_NEAR(r["model"]["shares"][5].get<double>(), all, 1e-12);
  EXPECT_EQ(r["global_layers"]["shares"], r["layers"][2]["shares"]);
  EXPECT_TRUE(r["model"]["fit"]["exponent"].is_number());
}

TEST_F(AttentionCommand, DoesNotDependOnBatchAndThreads) {
  const nlohmann::json one = attention({"--json", "-b", "7"}).json();
  const nlohmann::json two = attention({"--json", "-b", "512", "-j", "2"}).json();
  EXPECT_EQ(one["layers"], two["layers"]);
  EXPECT_EQ(one["model"], two["model"]);
}

TEST_F(AttentionCommand, TextsArePooled) {
  const std::string other = write("other.txt", some_text(350));
  const nlohmann::json r =
      attention({"--ppl", other, "--json", "--from", "100", "-c", "200"}).json();
  ASSERT_EQ(r["texts"].size(), 2u);
  EXPECT_EQ(r["texts"][1]["text_path"], other);
  EXPECT_EQ(r["counted_queries"], 99 + 99 + 0 + 99 + 51);
}

TEST_F(AttentionCommand, ReportSaysWhatIsTrueOfTheClaim) {
  const CommandResult brief = attention({"--heads"});
  expect_quiet_success(brief);
  for (const char* part :
       {"| layer | first 1 | first 4 | last 500 |", "| 0, sliding 32 |", "| 2, head 3 |",
        "| all without a sliding window |", "| all |", "cannot be judged", "--from 2500"}) {
    EXPECT_NE(brief.out.find(part), std::string::npos) << part << "\n" << brief.out;
  }
  text = write("long.txt", some_text(2700));
  const CommandResult report = attention({"--first", "8", "--from", "2500"});
  expect_quiet_success(report);
  for (const char* part : {"first 8 |", "200 queries with at least 2500", "does not hold here",
                           "in the layers without a sliding window"}) {
    EXPECT_NE(report.out.find(part), std::string::npos) << part << "\n" << report.out;
  }
  EXPECT_EQ(report.out.find("head"), std::string::npos);
}

TEST_F(AttentionCommand, CsvHasALineForEveryHead) {
  const CommandResult result = attention({"--csv"});
  expect_quiet_success(result);
  std::istringstream lines(result.out);
  std::string line;
  std::getline(lines, line);
  EXPECT_TRUE(line.starts_with("layer,head,sliding_window,first_1,first_4,first,last_500"));
  EXPECT_NE(line.find("window_90,window_90_with_first"), std::string::npos);
  EXPECT_TRUE(line.ends_with(",share_384_400"));
  const auto commas = std::ranges::count(line, ',');
  int n = 0;
  for (; std::getline(lines, line); ++n) EXPECT_EQ(std::ranges::count(line, ','), commas);
  EXPECT_EQ(n, 1 + 3 + 12);
}

TEST_F(AttentionCommand, WritesAFile) {
  const std::string path = (dir.path() / "out.json").string();
  const CommandResult result = attention({"--json", "-o", path});
  expect_quiet_success(result);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(nlohmann::json::parse(read_file(path))["counted_queries"], 99);
}

TEST_F(AttentionCommand, Refusals) {
  expect_refusal(run_quant({"attention", model}), 2, {"--ppl"});
  expect_refusal(run_quant({"attention", "--ppl", text}), 2, {"no model"});
  expect_refusal(attention({"--hold", "50,120"}), 2, {"120"});
  expect_refusal(attention({"--hold", "0"}), 2, {"--hold", "'0' is not a percentage above 0"});
  expect_refusal(attention({"--from", "399"}), 2, {"399 positions", "up to 400 tokens"});
  expect_refusal(attention({"--from", "3", "--first", "5"}), 2, {"--first 5", "position 3"});
  expect_refusal(attention({"--losses"}), 2, {"--losses"});
  expect_refusal(attention({"--json", "--csv"}), 2, {"--csv"});
  expect_refusal(attention({"-k", "turbo"}), 2, {"turbo"});
  const std::string missing = (dir.path() / "missing.txt").string();
  expect_refusal(run_quant({"attention", model, "--ppl", missing}), 4, {missing});
  expect_refusal(attention({"-o", (dir.path() / "no" / "folder").string()}), 4, {"folder"});
  expect_refusal(run_quant({"--losses", "attention", model, "--ppl", text}), 2,
                 {"--losses has no effect in front of attention"});
}

TEST_F(AttentionCommand, PerplexityWithTheAttentionOnExactRows) {
  const std::vector<std::string> command = {model, "--ppl",      text, "-k",     "turbo_kv_4b",
                                            "-v",  "fp16",       "-j", "2",      "--k-window",
                                            "20",  "--v-window", "5",  "--sink", "2"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = command;
    all.insert(all.end(), more.begin(), more.end());
    return run_quant(all);
  };
  const nlohmann::json plain = with({"--json", "--losses"}).json();
  EXPECT_FALSE(plain.contains("exact_key_mass"));
  const nlohmann::json r = with({"--json", "--losses", "--attention-mass"}).json();
  EXPECT_EQ(r["losses"], plain["losses"]);
  const double keys = r["exact_key_mass"];
  EXPECT_GT(keys, r["exact_value_mass"].get<double>());
  EXPECT_GT(keys, 0.05);
  EXPECT_LT(keys, 1.0);
  const CommandResult report = with({"--attention-mass"});
  EXPECT_NE(report.out.find("% of the attention"), std::string::npos) << report.out;
  EXPECT_EQ(with({}).out.find("% of the attention"), std::string::npos);
}

TEST_F(AttentionCommand, AWindowOverTheWholeContextHoldsAllAttention) {
  const nlohmann::json r = run_quant({model, "--ppl", text, "-k", "q8_0", "-v", "q8_0", "-j", "1",
                                      "--k-window", "500", "--attention-mass", "--json"})
                               .json();
  EXPECT_NEAR(r["exact_key_mass"].get<double>(), 1.0, 1e-12);
  EXPECT_EQ(r["exact_value_mass"], 0.0);
}

TEST_F(AttentionCommand, ComparisonWithTheAttentionOnExactRows) {
  const std::string other = write("other.txt", some_text(150));
  const std::vector<std::string> command = {"compare",
                                            model,
                                            "--ppl",
                                            text,
                                            "--ppl",
                                            other,
                                            "-j",
                                            "1",
                                            "--attention-mass",
                                            "-k",
                                            "turbo_kv_4b/q8_0@k-window=16:sink=1,q8_0/q8_0"};
  std::vector<std::string> json = command;
  json.push_back("--json");
  const nlohmann::json r = run_quant(json).json();
  EXPECT_EQ(r["baseline"]["exact_key_mass"], 1.0);
  EXPECT_EQ(r["baseline"]["exact_value_mass"], 1.0);
  EXPECT_EQ(r["rows"][1]["exact_key_mass"], 0.0);
  const nlohmann::json single =
      run_quant({model, "--ppl", text, "-k", "turbo_kv_4b", "-v", "q8_0", "--k-window", "16",
                 "--sink", "1", "--attention-mass", "--json", "-j", "1"})
          .json();
  for (const char* name : {"exact_key_mass", "exact_value_mass"}) {
    const double first = r["texts"][0]["rows"][0][name];
    const double second = r["texts"][1]["rows"][0][name];
    EXPECT_EQ(first, single[name].get<double>());
    EXPECT_NEAR(r["rows"][0][name].get<double>(), (399 * first + 150 * second) / 549, 1e-12);
  }
  const CommandResult report = run_quant(command);
  EXPECT_NE(report.out.find("attention on FP32 keys"), std::string::npos) << report.out;
}

TEST_F(AttentionCommand, CellsOfASweepAndTheirReport) {
  write("grid.toml",
        "models = [\"gemma3.gguf\"]\ntexts = [\"text.txt\"]\nk_windows = [0, 8]\n"
        "types = [\"q8_0\"]\n[[grid]]\nattention_mass = true\n[[grid]]\n");
  const std::string grid = (dir.path() / "grid.toml").string();
  const std::string runs = (dir.path() / "runs").string();
  // With and without are different measurements.
  EXPECT_EQ(run_quant({"sweep", grid, "-o", runs, "-j", "1", "--json"}).json()["measured"], 4);
  const nlohmann::json rows = run_quant({"report", runs, "--json"}).json()["groups"][0]["rows"];
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0]["exact_key_mass"], 0.0);
  EXPECT_GT(rows[1]["exact_key_mass"], 0.0);
  EXPECT_FALSE(rows[2].contains("exact_key_mass"));
  const std::string table = run_quant({"report", runs}).out;
  EXPECT_NE(table.find("| mass K %"), std::string::npos) << table;
}

}  // namespace
}  // namespace quant::test
