// quant report: tables, the Pareto front and pictures of a sweep.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cli/sweep_directory.h"

namespace quant::test {
namespace {

class Report : public SweepDirectory {
 protected:
  std::string report(std::vector<std::string> further = {}) const {
    std::vector<std::string> arguments = {"report", out};
    arguments.insert(arguments.end(), further.begin(), further.end());
    const CommandResult result = run_quant(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  /// Two contexts, so two groups, of three rows.
  void sweep_two_groups() const {
    run_sweep(
        grid("contexts = [64, 256]\ntypes = [\"turbo_kv_4b\", \"fp32/fp32\", "
             "\"uniform_2b\"]\n"));
  }
};

int count_of(const std::string& text, const std::string& part) {
  int n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(Report, DifferencesArePairedWithTheFp32Row) {
  sweep_two_groups();
  const nlohmann::json data = nlohmann::json::parse(report({"--json"}));
  EXPECT_EQ(data["missing"], 0);
  ASSERT_EQ(data["groups"].size(), 2u);
  for (const nlohmann::json& group : data["groups"]) {
    EXPECT_EQ(group["baseline"], "fp32");
    ASSERT_EQ(group["rows"].size(), 3u);
    const nlohmann::json& fp32 = group["rows"][1];
    EXPECT_EQ(fp32["key_type"], "fp32");
    EXPECT_FALSE(fp32.contains("delta_nll"));
    for (const int i : {0, 2}) {
      const nlohmann::json& row = group["rows"][static_cast<std::size_t>(i)];
      const double delta = row["mean_nll"].get<double>() - fp32["mean_nll"].get<double>();
      EXPECT_NEAR(row["delta_nll"], delta, 1e-6);  // losses are kept as 32-bit floats
      EXPECT_NEAR(row["delta_percent"], 100 * std::expm1(delta), 1e-3);
      EXPECT_LE(row["delta_nll_low"], row["delta_nll"]);
      EXPECT_GE(row["delta_nll_high"], row["delta_nll"]);
      EXPECT_GT(row["p_value"], 0.0);
      EXPECT_LE(row["p_value"], 1.0);
      EXPECT_TRUE(row["verdict"].is_string());
      EXPECT_NEAR(row["ratio_fp32"].get<double>(),
                  fp32["kv_bytes"].get<double>() / row["kv_bytes"].get<double>(), 1e-12);
      EXPECT_NEAR(row["ratio_fp16"].get<double>(), row["ratio_fp32"].get<double>() / 2, 1e-12);
      EXPECT_NEAR(row["kv_bits"].get<double>(), 32 / row["ratio_fp32"].get<double>(), 1e-12);
    }
  }
}

TEST_F(Report, FrontHoldsWhatNoRowBeatsInBoth) {
  sweep_two_groups();
  const nlohmann::json data = nlohmann::json::parse(report({"--json"}));
  for (const nlohmann::json& group : data["groups"]) {
    for (const nlohmann::json& row : group["rows"]) {
      const bool beaten = std::ranges::any_of(group["rows"], [&](const nlohmann::json& other) {
        return other["kv_bytes"] <= row["kv_bytes"] && other["perplexity"] <= row["perplexity"] &&
               other != row;
      });
      EXPECT_EQ(row["pareto"], !beaten) << row["label"];
    }
  }
}

TEST_F(Report, TablesHaveARowACell) {
  sweep_two_groups();
  const std::string markdown = report();
  EXPECT_EQ(count_of(markdown, "\n## ") + 1, 2);
  EXPECT_EQ(count_of(markdown, "| uniform_2b "), 2);
  for (const char* column : {"PPL", "Δ %", "95 % interval", "bits K", "cache bytes", "vs FP32",
                             "vs FP16", "FP32 keys %", "front"}) {
    EXPECT_EQ(count_of(markdown, std::string("| ") + column + " "), 2) << column;
  }
  EXPECT_EQ(count_of(markdown, "k-window"), 0);  // no row has one

  const std::string csv = report({"--csv"});
  EXPECT_EQ(count_of(csv, "\n"), 7);
  EXPECT_EQ(count_of(csv, ",kv_bytes,"), 1);

  const std::string latex = report({"--latex"});
  EXPECT_EQ(count_of(latex, "\\begin{tabular}"), 2);
  EXPECT_EQ(count_of(latex, "uniform\\_2b &"), 2);
  EXPECT_EQ(count_of(latex, "Δ"), 0);
}

TEST_F(Report, SeedsArePooled) {
  run_sweep(grid("contexts = 100\nseeds = [0, 1, 2]\ntypes = [\"fp32/fp32\", \"uniform_2b\"]\n"));
  const nlohmann::json data = nlohmann::json::parse(report({"--json"}));
  ASSERT_EQ(data["groups"].size(), 1u);
  const nlohmann::json& group = data["groups"][0];
  EXPECT_EQ(group["seeds"], 3);
  EXPECT_EQ(group["seed"], nlohmann::json({0, 1, 2}));
  ASSERT_EQ(group["by_seed"].size(), 3u);
  for (const std::size_t i : {0u, 1u}) {
    const nlohmann::json& row = group["rows"][i];
    double tokens = 0.0, loss = 0.0, delta = 0.0;
    std::vector<double> perplexities, deltas;
    for (const nlohmann::json& seed : group["by_seed"]) {
      const nlohmann::json& one = seed["rows"][i];
      const double n = one["scored_tokens"];
      tokens += n;
      loss += n * one["mean_nll"].get<double>();
      perplexities.push_back(one["perplexity"]);
      if (i == 0) continue;
      delta += n * one["delta_nll"].get<double>();
      deltas.push_back(one["delta_percent"]);
    }
    EXPECT_EQ(row["seeds"], 3);
    EXPECT_EQ(row["scored_tokens"], tokens);
    EXPECT_NEAR(row["mean_nll"], loss / tokens, 1e-6);
    EXPECT_NEAR(row["perplexity"], std::exp(loss / tokens), 1e-3);
    EXPECT_NEAR(row["perplexity_min"], std::ranges::min(perplexities), 1e-9);
    EXPECT_NEAR(row["perplexity_max"], std::ranges::max(perplexities), 1e-9);
    if (i == 0) continue;
    EXPECT_NEAR(row["delta_nll"], delta / tokens, 1e-6);
    EXPECT_NEAR(row["delta_percent_min"], std::ranges::min(deltas), 1e-4);
    EXPECT_NEAR(row["delta_percent_max"], std::ranges::max(deltas), 1e-4);
    EXPECT_FALSE(row.contains("cell"));
    // Three seeds of one text are no three texts: the blocks are those of one.
    EXPECT_LE(row["blocks"], group["text_tokens"].get<int>() / 64 + 1);
    EXPECT_LE(row["delta_nll_low"], row["delta_nll"]);
    EXPECT_GE(row["delta_nll_high"], row["delta_nll"]);
  }
  const std::string markdown = report();
  for (const char* part : {", 3 seeds\n", "| seeds |", "| PPL of seeds", "| Δ % of seeds"}) {
    EXPECT_EQ(count_of(markdown, part), 1) << part;
  }
  EXPECT_EQ(count_of(report({"--csv"}), "\n"), 1 + 2 + 3 * 2);
  EXPECT_EQ(count_of(report({"--latex"}), "\\begin{tabular}"), 1);
  EXPECT_EQ(count_of(report({"--html"}), "<td>3</td>"), 2);
  EXPECT_EQ(count_of(report({"--svg"}), ", 3 seeds</text>"), 1);
}

TEST_F(Report, SeedsThatLackARowStandAlone) {
  const std::string path =
      grid("contexts = 100\nseeds = [0, 1, 2]\ntypes = [\"fp32/fp32\", \"uniform_2b\"]\n");
  const nlohmann::json cells = run_sweep(path, {"--list"})["cells"];
  for (std::size_t i = 0; i + 1 < cells.size(); ++i) {
    run_sweep(path, {"--cell", cells[i]["key"].get<std::string>()});
  }
  const CommandResult result = run_quant({"report", out, "--json"});
  EXPECT_NE(result.err.find("1 of 6 cells"), std::string::npos) << result.err;
  const nlohmann::json groups = result.json()["groups"];
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0]["seed"], nlohmann::json({0, 1}));
  EXPECT_EQ(groups[1]["seed"], 2);
  EXPECT_EQ(groups[1]["rows"].size(), 1u);
}

TEST_F(Report, CsvFieldsWithCommasAreQuoted) {
  std::filesystem::rename(dir.path() / "text.txt", dir.path() / "a, \"b\".txt");
  run_sweep(grid("texts = 'a, \"b\".txt'\ncontexts = 64\ntypes = \"fp16\"\n"));
  EXPECT_EQ(count_of(report({"--csv"}), "a, \"\"b\"\".txt\","), 1);
}

TEST_F(Report, PageNeedsNothingButItself) {
  sweep_two_groups();
  const std::string page = report({"--html"});
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_EQ(count_of(page, "<svg "), 2);
  EXPECT_EQ(count_of(page, "<title>"), 1 + 2 * 3);
  EXPECT_EQ(count_of(page, "<script"), 0);
  EXPECT_EQ(count_of(page, "href"), 0);
  EXPECT_EQ(count_of(page, "src="), 0);
  EXPECT_EQ(count_of(page, "http"), count_of(page, "xmlns=\"http://www.w3.org/2000/svg\""));
  const std::string svg = report({"--svg"});
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_EQ(count_of(svg, "<svg "), count_of(svg, "</svg>"));
  EXPECT_EQ(count_of(svg, "<circle "), 6);
  EXPECT_EQ(count_of(svg, "nan"), 0);
}

TEST_F(Report, NamesFromOutsideAreEscaped) {
  std::filesystem::rename(dir.path() / "text.txt", dir.path() / "a<b>&c.txt");
  run_sweep(grid("texts = \"a<b>&c.txt\"\ncontexts = 64\ntypes = \"fp16\"\n"));
  EXPECT_EQ(count_of(report({"--html"}), "<b>"), 0);
  EXPECT_GT(count_of(report({"--html"}), "a&lt;b&gt;&amp;c.txt"), 0);
}

TEST_F(Report, WithoutFp32DifferencesAreToTheFirstRow) {
  run_sweep(grid("contexts = 64\ntypes = [\"q8_0\", \"uniform_2b\"]\n"));
  const nlohmann::json group = nlohmann::json::parse(report({"--json"}))["groups"][0];
  EXPECT_EQ(group["baseline"], "q8_0/fp16");
  EXPECT_TRUE(group["rows"][1].contains("delta_nll"));
  EXPECT_TRUE(group["rows"][1]["ratio_fp32"].is_null());
  EXPECT_EQ(count_of(report(), "vs FP32"), 0);
}

TEST_F(Report, SaysWhatIsMissing) {
  const std::string path = grid("contexts = 64\ntypes = [\"fp32/fp32\", \"q8_0\"]\n");
  const std::string key = run_sweep(path, {"--list"})["cells"][0]["key"];
  expect_refusal(run_quant({"report", out}), 2, {"no cell"});
  run_sweep(path, {"--cell", key});
  const CommandResult result = run_quant({"report", out});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.err.find("1 of 2 cells"), std::string::npos) << result.err;
  EXPECT_EQ(count_of(result.out, "\n| fp32 |"), 1);
}

TEST_F(Report, RefusesWhatIsNoSweep) {
  expect_refusal(run_quant({"report", dir.path().string()}), 4, {"grid.json"});
  run_sweep(grid("contexts = 64\ntypes = \"fp16\"\n"));
  const std::string cell = out + "/cells/" + records().begin()->first;
  const std::string losses = read_file(cell + ".losses");
  write_file(cell + ".losses", losses.substr(0, losses.size() - 1));
  expect_refusal(run_quant({"report", out}), 4, {".losses", "damaged"});
  write_file(cell + ".losses", losses);
  write_file(cell + ".json", "{\"schema_version\":");
  expect_refusal(run_quant({"report", out}), 4, {".json", "damaged"});
  expect_refusal(run_quant({"report", out, "--csv", "--html"}), 2, {"--csv"});
}

}  // namespace
}  // namespace quant::test
