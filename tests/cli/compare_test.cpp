// quant compare: one pass, all configurations; records, tables, positions.
#include <gtest/gtest.h>

#include <cmath>

#include "cli/model_and_text.h"

namespace quant::test {
namespace {

constexpr const char* kList =
    "fp32/fp32,turbo_kv_4b,turbo_kv_4b/turbo_kv_4b@window=16:sink=4,uniform_2b@k-window=40";

class CompareCommand : public ModelAndText {
 protected:
  CommandResult compare(std::vector<std::string> arguments) const {
    std::vector<std::string> all = {"compare", model, "-j", "1"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_quant(all);
  }
  nlohmann::json record(std::vector<std::string> arguments) const {
    arguments.push_back("--json");
    const CommandResult result = compare(std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json();
  }
};

TEST_F(CompareCommand, RowsAreCompleteRecords) {
  const nlohmann::json r = record({"--ppl", text, "-k", kList});
  EXPECT_EQ(r["schema_version"], 1);
  EXPECT_EQ(r["baseline"]["configuration"], "fp32/fp32");
  EXPECT_EQ(r["baseline"]["ratio_fp32"], 1.0);
  EXPECT_FALSE(r.contains("texts"));
  ASSERT_EQ(r["rows"].size(), 3u);
  EXPECT_EQ(r["rows"][0]["value_type"], "fp16");
  EXPECT_EQ(r["rows"][1]["configuration"], "turbo_kv_4b/turbo_kv_4b@window=16:sink=4");
  EXPECT_EQ(r["rows"][2]["key_window"], 40);
  EXPECT_EQ(r["rows"][2]["value_window"], 0);
  for (const nlohmann::json& row : r["rows"]) {
    expect_perplexity_record(row);
    expect_complete(row, {"delta_nll", "delta_nll_low", "delta_nll_high", "p_value", "verdict",
                          "worse_share", "blocks", "kl_mean", "kl_p50", "kl_p90", "kl_p95",
                          "kl_p99", "kl_p999", "kl_max", "same_top1", "delta_p_rms", "ratio_fp16"});
    const double delta = row["mean_nll"].get<double>() - r["baseline"]["mean_nll"].get<double>();
    EXPECT_NEAR(row["delta_nll"].get<double>(), delta, 1e-12);
    EXPECT_GT(row["kl_mean"].get<double>(), 0.0);
    EXPECT_LE(row["kl_p50"], row["kl_max"]);
  }
}

TEST_F(CompareCommand, RowsAreThoseOfSingleRuns) {
  const nlohmann::json r = record({"--ppl", text, "-k", kList, "-b", "32", "-c", "100"});
  const auto single = [&](std::vector<std::string> arguments) {
    std::vector<std::string> all = {model, "--ppl", text, "--json", "-j", "1", "-c", "100"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_quant(all).json();
  };
  const auto expect_same = [](const nlohmann::json& row, const nlohmann::json& expected) {
    for (const char* name : {"mean_nll", "perplexity", "standard_error_blocks", "fp32_share_mean",
                             "value_fp32_share_end", "kv_bytes", "key_bits", "tokens_sha256"}) {
      EXPECT_EQ(row[name], expected[name]) << name;
    }
  };
  expect_same(r["baseline"], single({"-k", "fp32", "-v", "fp32"}));
  expect_same(r["rows"][1],
              single({"-k", "turbo_kv_4b", "-v", "turbo_kv_4b", "--window", "16", "--sink", "4"}));
  expect_same(r["rows"][2], single({"-k", "uniform_2b", "--k-window", "40"}));
}

TEST_F(CompareCommand, TheSameInputGivesTheSameRecord) {
  const auto stripped = [&](std::vector<std::string> arguments) {
    nlohmann::json r = record(std::move(arguments));
    const auto strip = [](nlohmann::json& row) {
      for (const char* name : {"seconds", "tokens_per_second", "peak_rss_bytes"}) row.erase(name);
    };
    strip(r["baseline"]);
    for (nlohmann::json& row : r["rows"]) strip(row);
    return r;
  };
  EXPECT_EQ(stripped({"--ppl", text, "-k", kList}), stripped({"--ppl", text, "-k", kList}));
}

TEST_F(CompareCommand, OptionsOfTheCommandLineAreDefaults) {
  const nlohmann::json r =
      record({"--ppl", text, "-k", "q8_0,q8_0@window=3", "-v", "bf16", "--k-window", "9"});
  EXPECT_EQ(r["rows"][0]["configuration"], "q8_0/bf16@k-window=9");
  EXPECT_EQ(r["rows"][1]["configuration"], "q8_0/bf16@window=3");
}

TEST_F(CompareCommand, SeveralTextsArePooledAndAveraged) {
  const std::string other = write_text("other.txt", " falls mainly on the plain", 9);
  const nlohmann::json r = record({"--ppl", text, other, "-k", kList});
  ASSERT_EQ(r["texts"].size(), 2u);
  EXPECT_EQ(r["baseline"]["text_path"], (nlohmann::json{text, other}));
  const auto& a = r["texts"][0]["rows"][0];
  const auto& b = r["texts"][1]["rows"][0];
  EXPECT_EQ(b["text_path"], other);
  const double n = a["scored_tokens"].get<double>();
  const double m = b["scored_tokens"].get<double>();
  const double first = a["delta_nll"].get<double>();
  const double second = b["delta_nll"].get<double>();
  EXPECT_EQ(r["rows"][0]["scored_tokens"].get<double>(), n + m);
  EXPECT_NEAR(r["rows"][0]["delta_nll"].get<double>(), (n * first + m * second) / (n + m), 1e-12);
  EXPECT_NEAR(r["macro"]["rows"][0]["delta_nll"].get<double>(), 0.5 * (first + second), 1e-12);
  EXPECT_NE(n, m);
  const CommandResult report = compare({"--ppl", text, other, "-k", kList});
  EXPECT_NE(report.out.find("macro average"), std::string::npos) << report.out;
  EXPECT_NE(report.out.find("other.txt"), std::string::npos);
}

TEST_F(CompareCommand, ReportAndWarning) {
  const CommandResult result = compare({"--ppl", text, "-k", kList});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.err.find("blocks of 64 tokens are few"), std::string::npos) << result.err;
  for (const char* part : {"baseline", "Δ NLL", "verdict", "KL mean", "99.9 %", "same top-1",
                           "bits K", "cache bytes", "vs FP16", "tokens/s", "uniform_2b/fp16"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
}

TEST_F(CompareCommand, PositionsGoToCsvAndASparkline) {
  const std::string csv = (dir.path() / "positions.csv").string();
  const CommandResult result = compare({"--ppl", text, "-k", kList, "--positions", csv});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("█"), std::string::npos) << result.out;
  const std::string rows = read_file(csv);
  EXPECT_TRUE(rows.starts_with("configuration,bins,begin,end,tokens,mean_nll,delta_nll,kl_mean\n"));
  EXPECT_NE(rows.find("\nuniform_2b/fp16@k-window=40,log,32,48,16,"), std::string::npos) << rows;
  EXPECT_NE(rows.find("\nfp32/fp32,position,1,2,1,"), std::string::npos);
}

TEST_F(CompareCommand, Refusals) {
  expect_refusal(compare({"--ppl", text, "-k", "fp32/fp32"}), 2, {"nothing to compare"});
  expect_refusal(compare({"--ppl", text, "-k", "q8_0,q8_0/fp16"}), 2, {"given twice"});
  expect_refusal(compare({"--ppl", text, "-k", "turbo_kv_4"}), 2, {"turbo_kv_4b"});
  expect_refusal(compare({"-k", "q8_0"}), 2, {"--ppl"});
  expect_refusal(compare({"--ppl", text, "--positions", "/nonexistent/a.csv"}), 4,
                 {"/nonexistent/a.csv"});
  expect_refusal(run_quant({"compare", "--ppl", text}), 2, {"no model"});
}

}  // namespace
}  // namespace quant::test
