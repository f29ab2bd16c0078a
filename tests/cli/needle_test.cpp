// quant needle: records, tables, CSV and heat maps of hidden keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kList = "fp32/fp32,turbo_kv_4b/turbo_kv_4b@window=64,uniform_2b/uniform_2b";

class NeedleCommand : public testing::Test {
 protected:
  CommandResult needle(std::vector<std::string> arguments) const {
    std::vector<std::string> all = {"needle", "--text", text, "-k", kList, "-j", "1"};
    const auto add_unless_given = [&](const std::string& name, const std::string& value) {
      if (std::ranges::find(arguments, name) == arguments.end()) {
        all.insert(all.end(), {name, value});
      }
    };
    add_unless_given("-m", model);
    add_unless_given("--lengths", "250,400");
    add_unless_given("--depths", "0,60");
    add_unless_given("--trials", "2");
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_quant(all);
  }
  nlohmann::json record(std::vector<std::string> arguments) const {
    arguments.push_back("--json");
    const CommandResult result = needle(std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json();
  }
  std::string path(const char* name) const { return (dir.path() / name).string(); }

  TempDir dir;
  std::string model = write_tiny_model(dir.path(), {});
  std::string text = (source_dir() / "bench" / "data" / "ppl_1k.txt").string();
};

int count_of(const std::string& in, const std::string& what) {
  int n = 0;
  for (std::size_t at = in.find(what); at != std::string::npos; at = in.find(what, at + 1)) ++n;
  return n;
}

/// Every element that is opened is closed, in order, and nothing is left of & and <.
bool is_well_formed(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = 0; at < xml.size(); ++at) {
    if (xml[at] == '&') {
      const std::size_t end = xml.find(';', at);
      const std::string entity = xml.substr(at, end - at + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;") {
        return false;
      }
    }
    if (xml[at] != '<') continue;
    const std::size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const std::string inside = xml.substr(at + 1, end - at - 1);
    if (count_of(inside, "<") > 0 || count_of(inside, "\"") % 2 != 0) return false;
    const std::string name = inside.substr(0, inside.find_first_of(" /", 1));
    if (inside.starts_with('/')) {
      if (open.empty() || "/" + open.back() != inside) return false;
      open.pop_back();
    } else if (!inside.ends_with('/')) {
      open.push_back(name);
    }
    at = end;
  }
  return open.empty();
}

TEST_F(NeedleCommand, RecordHoldsAllTrials) {
  const nlohmann::json r = record({"-s", "5"});
  EXPECT_EQ(r["schema_version"], 1);
  EXPECT_EQ(r["form"], "text");
  EXPECT_EQ(r["seed"], 5);
  EXPECT_EQ(r["math"], "exact");
  EXPECT_EQ(r["lengths"], (nlohmann::json{250, 400}));
  ASSERT_EQ(r["prompts"].size(), 8u);
  EXPECT_EQ(r["prompts"][5]["length"], 400);
  EXPECT_EQ(r["prompts"][5]["depth"], 0.0);
  EXPECT_EQ(r["prompts"][5]["trial"], 1);
  EXPECT_EQ(r["baseline"]["configuration"], "fp32/fp32");
  ASSERT_EQ(r["rows"].size(), 2u);
  EXPECT_EQ(r["rows"][0]["key_window"], 64);
  const auto expect_cells = [&](const nlohmann::json& row) {
    EXPECT_EQ(row["trials"], 8);
    ASSERT_EQ(row["log_probabilities"].size(), 8u);
    ASSERT_EQ(row["exact"].size(), 8u);
    ASSERT_EQ(row["cells"].size(), 4u);
    EXPECT_EQ(row["cells"][1]["depth"], 60.0);
    EXPECT_EQ(row["cells"][2]["length"], 400);
    double sum = 0.0;
    for (std::size_t cell = 0; cell < 4; ++cell) {
      const double a = row["log_probabilities"][2 * cell];
      const double b = row["log_probabilities"][2 * cell + 1];
      EXPECT_NEAR(row["cells"][cell]["log_probability"].get<double>(), (a + b) / 2.0, 1e-12);
      sum += a + b;
    }
    EXPECT_NEAR(row["log_probability"].get<double>(), sum / 8.0, 1e-12);
    EXPECT_LE(row["exact_match_low"], row["exact_match_rate"]);
    EXPECT_GT(row["kv_positions"], 0);
  };
  expect_cells(r["baseline"]);
  for (const nlohmann::json& row : r["rows"]) {
    expect_cells(row);
    const double delta =
        row["log_probability"].get<double>() - r["baseline"]["log_probability"].get<double>();
    EXPECT_NEAR(row["delta_log_probability"].get<double>(), delta, 1e-12);
    EXPECT_LT(row["delta_log_probability_low"], row["delta_log_probability"]);
    EXPECT_GT(row["delta_log_probability_high"], row["delta_log_probability"]);
    for (const char* name : {"lost", "gained", "mcnemar_p", "mcnemar_p_unadjusted", "p_value",
                             "p_value_unadjusted", "worse_share", "kv_bytes", "ratio_fp32"}) {
      EXPECT_TRUE(row[name].is_number()) << name;
    }
  }
}

TEST_F(NeedleCommand, TheSameInputGivesTheSameRecord) {
  const auto stripped = [&](std::vector<std::string> arguments) {
    nlohmann::json r = record(std::move(arguments));
    for (const char* name : {"seconds", "tokens_per_second", "peak_rss_bytes"}) r.erase(name);
    return r;
  };
  EXPECT_EQ(stripped({}), stripped({}));
  EXPECT_NE(record({"-s", "1"})["tokens_sha256"], record({"-s", "2"})["tokens_sha256"]);
  // A trial is the same in a longer list.
  const nlohmann::json one = record({"--lengths", "400", "--depths", "60"});
  const nlohmann::json all = record({});
  EXPECT_EQ(one["prompts"][1], all["prompts"][7]);
  for (std::size_t row = 0; row < 2; ++row) {
    EXPECT_EQ(one["rows"][row]["log_probabilities"][1], all["rows"][row]["log_probabilities"][7]);
  }
}

TEST_F(NeedleCommand, FewTrialsHaveNoInterval) {
  const nlohmann::json row =
      record({"--lengths", "250", "--depths", "50", "--trials", "2"})["rows"][0];
  EXPECT_TRUE(row["delta_log_probability_low"].is_null());
  EXPECT_EQ(row["reason"], "2 trials are too few for an interval");
}

TEST_F(NeedleCommand, Report) {
  const CommandResult result = needle({});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("8 prompts, 2592 tokens, through 3 configurations"), std::string::npos)
      << result.err;
  for (const char* part : {"exact", "lost", "Δ [95 %]", "baseline", "| depth | 250 tokens | 400",
                           "| 60 % |", "uniform_2b/uniform_2b", "of 2 (-", "tokens/s"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
}

TEST_F(NeedleCommand, CsvHasALineACell) {
  const std::string file = path("cells.csv");
  const CommandResult result = needle({"--csv", "-o", file});
  EXPECT_EQ(result.out, "");
  const std::string csv = read_file(file);
  EXPECT_TRUE(csv.starts_with("configuration,length,depth,trials,exact_matches,log_probability\n"));
  EXPECT_EQ(count_of(csv, "\n"), 1 + 3 * 4);
  EXPECT_NE(csv.find("\nturbo_kv_4b/turbo_kv_4b@window=64,400,60,2,"), std::string::npos) << csv;
}

TEST_F(NeedleCommand, HeatMapsAreOneSelfContainedSvg) {
  const std::filesystem::path odd = dir.path() / "a&b <1>.gguf";
  std::filesystem::copy_file(model, odd);
  const std::string file = path("map.svg");
  const CommandResult result = needle({"-m", odd.string(), "--svg", file});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("fp32/fp32"), std::string::npos);
  const std::string svg = read_file(file);
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(is_well_formed(svg)) << svg;
  EXPECT_EQ(count_of(svg, "<title>"), 3 * 4);
  EXPECT_EQ(count_of(svg, "/2</text>"), 3 * 4);
  EXPECT_EQ(count_of(svg, "length, tokens"), 3);
  EXPECT_EQ(count_of(svg, ">depth</text>"), 3);
  EXPECT_NE(svg.find("a&amp;b &lt;1&gt;.gguf"), std::string::npos);
  EXPECT_EQ(count_of(svg, "http"), 1);  // the name space
  EXPECT_EQ(count_of(svg, "nan"), 0);
  EXPECT_EQ(count_of(svg, "<script"), 0);
}

TEST_F(NeedleCommand, ChatNeedsATemplate) {
  expect_refusal(needle({"--chat"}), 2, {"--chat", "no chat template"});
  const std::filesystem::path chat = dir.path() / "chat.gguf";
  tiny_model({}).add("tokenizer.chat_template", "<|im_start|> and <|im_end|>").write(chat);
  const nlohmann::json r = record({"-m", chat.string(), "--chat", "--lengths", "500"});
  EXPECT_EQ(r["form"], "chat");
  EXPECT_EQ(r["prompts"][0]["length"], 500);
}

TEST_F(NeedleCommand, CtrlCEndsIt) {
  Command command({"needle", model, "--text", text, "-k", kList, "--lengths", "500", "--trials",
                   "2000", "-j", "1"});
  command.start();
  std::this_thread::sleep_for(300ms);
  const auto begin = std::chrono::steady_clock::now();
  command.interrupt();
  const CommandResult result = command.wait(10s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_TRUE(result.signal == SIGINT || result.exit_code == 130) << result.exit_code;
  EXPECT_EQ(result.out, "");
}

TEST_F(NeedleCommand, Refusals) {
  expect_refusal(needle({"--lengths", "250,513"}), 2, {"513", "512", "--allow-longer"});
  EXPECT_EQ(record({"--lengths", "520", "--allow-longer"})["prompts"][0]["length"], 520);
  expect_refusal(needle({"--depths", "101"}), 2, {"depth of 101"});
  expect_refusal(needle({"--depths", "deep"}), 2, {"--depths"});
  expect_refusal(needle({"--lengths", "0"}), 2, {"--lengths"});
  expect_refusal(needle({"--trials", "0"}), 2, {"--trials"});
  expect_refusal(needle({"-c", "512"}), 2, {"-c", "--lengths"});
  expect_refusal(needle({"-k", "fp32/fp32"}), 2, {"nothing to compare"});
  expect_refusal(needle({"-k", "turbo_kv_4"}), 2, {"turbo_kv_4b"});
  expect_refusal(needle({"--json", "--csv"}), 2, {"--csv"});
  expect_refusal(needle({"--depth", "3"}), 2, {"--depths"});
  expect_refusal(needle({"--svg", "/nonexistent/a.svg"}), 4, {"/nonexistent/a.svg"});
  expect_refusal(needle({"--text", path("missing.txt")}), 4, {"missing.txt"});
  expect_refusal(run_quant({"needle", model}), 2, {"--text"});
  const std::string tale = path("tale.txt");
  write_file(tale, "It was short. It ended.");
  expect_refusal(needle({"--text", tale}), 2, {"too short", "250", "tools/fetch_texts.sh"});
  expect_refusal(run_quant({"--temp", "1", "needle", model, "--text", text}), 2,
                 {"--temp", "no effect", "needle"});
}

}  // namespace
}  // namespace quant::test
