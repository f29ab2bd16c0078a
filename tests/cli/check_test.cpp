// quant check: a record is repeated, and what differs is found.
#include <gtest/gtest.h>

#include <cmath>

#include "cli/model_and_text.h"

namespace quant::test {
namespace {

class CheckCommand : public ModelAndText {
 protected:
  std::string path(const std::string& name) const { return (dir.path() / name).string(); }

  /// Writes a baseline and returns its path.
  std::string measured(const std::string& name, std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--json", "-o", path(name), "-j", "1"});
    const CommandResult result = run_quant(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return path(name);
  }
  std::string perplexity_baseline() const {
    return measured("ppl.json", {model, "--ppl", text, "-k", "turbo_kv_4b", "--window", "16", "-c",
                                 "128", "--losses"});
  }
  std::string comparison_baseline() const {
    return measured("compare.json",
                    {"compare", model, "--ppl", text, text2, "-k",
                     "turbo_kv_4b,uniform_2b/q8_0@k-window=8:sink=2", "--offset", "5"});
  }
  /// Changes a number of a record.
  template <class Change>
  void edit(const std::string& file, const Change& change) const {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(read_file(file));
    change(json);
    write_file(file, json.dump());
  }
  template <class Record>
  static void set_loss(Record& record, double nll) {
    record["mean_nll"] = nll;
    record["perplexity"] = std::exp(nll);
  }

  std::string text2 = write("text2.txt", "falls mainly on the plain, and on nothing else at all");
};

TEST_F(CheckCommand, TheSameMeasurementPassesExactly) {
  for (const std::string& baseline : {perplexity_baseline(), comparison_baseline()}) {
    const CommandResult result = run_quant({"check", baseline, "--tolerance", "exact"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(result.out.starts_with("ok ")) << result.out;
    EXPECT_EQ(result.out.find("FAIL"), std::string::npos);
  }
  const CommandResult interval =
      run_quant({"check", path("ppl.json"), "--tolerance", "interval", "--json"});
  EXPECT_EQ(interval.exit_code, 0) << interval.err;
  EXPECT_EQ(interval.json()["passed"], true);
  EXPECT_EQ(interval.json()["rows"][0]["delta_nll_high"], 0.0);
}

TEST_F(CheckCommand, EveryProtocolIsRepeated) {
  for (const std::vector<std::string>& protocol :
       {std::vector<std::string>{"--protocol", "llamacpp", "-c", "64"},
        {"--protocol", "strided", "-c", "64", "--stride", "24"},
        {"-c", "50", "--chunks", "3"},
        {"-c", "50", "--offset", "17"}}) {
    std::vector<std::string> arguments = {model, "--ppl", text};
    arguments.insert(arguments.end(), protocol.begin(), protocol.end());
    const std::string baseline = measured("protocol.json", arguments);
    const CommandResult result = run_quant({"check", baseline, "--tolerance", "exact"});
    EXPECT_EQ(result.exit_code, 0) << result.err << protocol[1];
  }
}

TEST_F(CheckCommand, ARegressionIsFoundAndNamed) {
  const std::string baseline = comparison_baseline();
  edit(baseline, [](auto& json) {
    auto& row = json["rows"][1];
    set_loss(row, row["mean_nll"].template get<double>() - 0.01);
  });
  const CommandResult result = run_quant({"check", baseline, "--percent", "0.5", "--junit",
                                          path("junit.xml"), "--summary", path("summary.md")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.out.find("FAIL uniform_2b/q8_0@k-window=8:sink=2: "), std::string::npos)
      << result.out;
  EXPECT_NE(result.err.find("regression: uniform_2b/q8_0"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("more than 0.5 % worse"), std::string::npos);
  const std::string junit = read_file(path("junit.xml"));
  EXPECT_NE(junit.find("tests=\"3\" failures=\"1\""), std::string::npos) << junit;
  EXPECT_NE(junit.find("<failure message=\""), std::string::npos);
  const std::string summary = read_file(path("summary.md"));
  EXPECT_NE(summary.find("| ❌ | uniform_2b"), std::string::npos) << summary;
  // It is no regression to be better, or within the tolerance.
  EXPECT_EQ(run_quant({"check", baseline, "--percent", "2"}).exit_code, 0);
  EXPECT_EQ(run_quant({"check", baseline, "--tolerance", "exact"}).exit_code, 1);
}

TEST_F(CheckCommand, PairedIntervalsFindWhatIsSurelyWorse) {
  const std::string baseline = perplexity_baseline();
  edit(baseline, [](auto& json) {
    for (auto& loss : json["losses"]) loss = loss.template get<double>() - 0.001;
    set_loss(json, json["mean_nll"].template get<double>() - 0.001);
  });
  const CommandResult result = run_quant({"check", baseline, "--tolerance", "interval"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("the interval lies above 0"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("[+0.001000, +0.001000]"), std::string::npos) << result.err;
  EXPECT_EQ(run_quant({"check", baseline, "--percent", "0.2"}).exit_code, 0);
}

TEST_F(CheckCommand, ALargerCacheIsARegression) {
  const std::string baseline = perplexity_baseline();
  edit(baseline, [](auto& json) { json["kv_bytes"] = json["kv_bytes"].template get<int>() - 1; });
  const CommandResult result = run_quant({"check", baseline});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("the cache has grown"), std::string::npos) << result.err;
}

TEST_F(CheckCommand, WhatIsNotComparableIsNamed) {
  const std::string baseline = perplexity_baseline();
  expect_refusal(run_quant({"check", baseline, "--ppl", text2}), 3, {"text_sha256", "text2.txt"});
  const TempDir elsewhere;
  TinyModelSpec spec;
  spec.seed = 2;
  const std::string other = write_tiny_model(elsewhere.path(), spec);
  expect_refusal(run_quant({"check", baseline, "-m", other}), 3, {"model_sha256", other});
  edit(baseline, [](auto& json) { json["tokens_sha256"] = "0"; });
  expect_refusal(run_quant({"check", baseline}), 3, {"tokens_sha256"});
}

TEST_F(CheckCommand, ARecordThatContradictsItselfIsRefused) {
  for (const std::string& baseline : {perplexity_baseline(), comparison_baseline()}) {
    edit(baseline, [](auto& json) {
      auto& record = json.contains("rows") ? json["rows"][1] : json;
      record["perplexity"] = 2.0 * record["perplexity"].template get<double>();
    });
    expect_refusal(run_quant({"check", baseline}), 2, {baseline, "contradict", "--update"});
    const CommandResult update = run_quant({"check", baseline, "--update", "--json"});
    EXPECT_EQ(update.json()["updated"], true) << update.err;
    EXPECT_EQ(run_quant({"check", baseline, "--tolerance", "exact"}).exit_code, 0);
  }
}

TEST_F(CheckCommand, ARecordWithoutAPerplexityIsRefused) {
  for (const nlohmann::json& wrong : {nlohmann::json(nullptr), nlohmann::json("5.3")}) {
    const std::string baseline = perplexity_baseline();
    edit(baseline, [&](auto& json) { json["perplexity"] = wrong; });
    expect_refusal(run_quant({"check", baseline}), 2, {baseline, "no finite perplexity"});
  }
}

TEST_F(CheckCommand, DamagedLossesAreNoRegression) {
  const std::string baseline = perplexity_baseline();
  const std::string whole = read_file(baseline);
  edit(baseline, [](auto& json) { json["losses"] = {{"x"}}; });
  expect_refusal(run_quant({"check", baseline}), 2, {baseline, "losses", "--update"});
  write_file(baseline, whole);
  edit(baseline, [](auto& json) { json["losses"].erase(0); });
  expect_refusal(run_quant({"check", baseline}), 2, {baseline, "losses", "--update"});
}

TEST_F(CheckCommand, NumbersThatNoOptionTakesAreNamed) {
  const std::string baseline = perplexity_baseline();
  const std::string whole = read_file(baseline);
  const std::pair<const char*, nlohmann::json> wrong[] = {
      {"context", -5},      {"context", 0},   {"key_window", 1e300}, {"sink", 3.5},
      {"value_window", -1}, {"batch", "512"}, {"text_offset", 1e10}, {"chunks", nullptr}};
  for (const auto& [name, value] : wrong) {
    write_file(baseline, whole);
    edit(baseline, [&](auto& json) { json[name] = value; });
    for (const char* update : {"--json", "--update"}) {
      expect_refusal(run_quant({"check", baseline, update}), 2, {baseline, name, value.dump()});
    }
  }
}

TEST_F(CheckCommand, HashesThatAreNoneAreRefused) {
  const std::string baseline = comparison_baseline();
  edit(baseline, [](auto& json) { json["baseline"]["tokens_sha256"].erase(0); });
  expect_refusal(run_quant({"check", baseline}), 2, {baseline, "tokens_sha256"});
  edit(baseline, [](auto& json) { json["baseline"]["tokens_sha256"] = 7; });
  expect_refusal(run_quant({"check", baseline}), 2, {baseline, "not a record"});
}

TEST_F(CheckCommand, UpdateWritesANewBaseline) {
  const std::string baseline = perplexity_baseline();
  const std::string before = read_file(baseline);
  edit(baseline, [](auto& json) { set_loss(json, 1.0); });
  EXPECT_EQ(run_quant({"check", baseline}).exit_code, 1);
  const CommandResult update = run_quant({"check", baseline, "--update", "-j", "1"});
  EXPECT_EQ(update.exit_code, 0) << update.err;
  EXPECT_EQ(nlohmann::json::parse(read_file(baseline))["mean_nll"],
            nlohmann::json::parse(before)["mean_nll"]);
  EXPECT_EQ(run_quant({"check", baseline, "--tolerance", "exact"}).exit_code, 0);
}

TEST_F(CheckCommand, Refusals) {
  write_file(path("no.json"), "{}");
  expect_refusal(run_quant({"check", path("no.json")}), 2, {"no.json", "not a record"});
  write_file(path("info.json"), "{\"schema_version\": 1}");
  expect_refusal(run_quant({"check", path("info.json")}), 2, {"info.json", "not a record"});
  expect_refusal(run_quant({"check", path("missing.json")}), 4, {"missing.json"});
  expect_refusal(run_quant({"check"}), 2, {"baseline"});
  expect_refusal(run_quant({"check", comparison_baseline(), "--tolerance", "interval"}), 2,
                 {"--losses"});
  expect_refusal(run_quant({"check", path("compare.json"), "--tolerance", "loose"}), 2,
                 {"loose", "relative"});
}

}  // namespace
}  // namespace quant::test
