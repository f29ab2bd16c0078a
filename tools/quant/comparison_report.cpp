// Comparisons as tables, lines and CSV.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "comparison.h"
#include "console.h"

namespace quant::tool {
namespace {

std::string verdict_text(const Json& row, double margin_percent) {
  std::string verdict = row["verdict"].get<std::string>();
  if (verdict == "equivalent") return fmt::format("equivalent (± {} %)", margin_percent);
  if (verdict != "unresolved" || !row["tokens_to_resolve"].is_number()) return verdict;
  return fmt::format("unresolved (needs {} tokens)", row["tokens_to_resolve"].get<std::int64_t>());
}

std::string difference_cells(const Json& row, double margin_percent) {
  return fmt::format(" {} [{}, {}] | {} | {} |", number_text(row["delta_nll"], "{:+.5f}"),
                     number_text(row["delta_nll_low"], "{:+.5f}"),
                     number_text(row["delta_nll_high"], "{:+.5f}"),
                     number_text(row["p_value"], "{:.4f}"), verdict_text(row, margin_percent));
}

/// Calls visit for the baseline and then for every row.
template <class Visit>
void for_rows(const Json& table, const Visit& visit) {
  visit(table["baseline"], true);
  for (const Json& row : table["rows"]) visit(row, false);
}

std::string quality_table(const Json& table, double margin_percent) {
  std::string out =
      "| keys/values | PPL ± SE | Δ NLL [95 % interval] | p | verdict | tokens worse |\n"
      "|---|---|---|---|---|---|\n";
  for_rows(table, [&](const Json& row, bool baseline) {
    out += fmt::format("| {} | {} ± {} |{} {} |\n", row["configuration"].get<std::string>(),
                       number_text(row["perplexity"], "{:.4f}"),
                       number_text(row["standard_error_blocks"], "{:.4f}"),
                       baseline ? " baseline | - | - |" : difference_cells(row, margin_percent),
                       baseline ? "-" : number_text(row["worse_share"], "{:.1f} %", 100.0));
  });
  return out;
}

std::string divergence_table(const Json& table) {
  std::string out =
      "| keys/values | KL mean | median | 90 % | 95 % | 99 % | 99.9 % | max | same top-1 | Δp RMS "
      "|\n|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Json& row : table["rows"]) {
    out += fmt::format("| {} |", row["configuration"].get<std::string>());
    for (const char* name :
         {"kl_mean", "kl_p50", "kl_p90", "kl_p95", "kl_p99", "kl_p999", "kl_max"}) {
      out += fmt::format(" {} |", number_text(row[name], "{:.3g}"));
    }
    out += fmt::format(" {} | {} |\n", number_text(row["same_top1"], "{:.2f} %", 100.0),
                       number_text(row["delta_p_rms"], "{:.3f} %", 100.0));
  }
  return out;
}

std::string cost_table(const Json& table) {
  const bool masses = table["baseline"].contains("exact_key_mass");
  std::string out = fmt::format(
      "| keys/values | bits K | bits V | cache bytes | vs FP32 | vs FP16 | FP32 keys, mean (end) | "
      "FP32 values, mean (end) |{}\n|---|---|---|---|---|---|---|---|{}\n",
      masses ? " attention on FP32 keys | on FP32 values |" : "", masses ? "---|---|" : "");
  for_rows(table, [&](const Json& row, bool) {
    out += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} ({}) | {} ({}) |",
        row["configuration"].get<std::string>(), number_text(row["key_bits"], "{:.3f}"),
        number_text(row["value_bits"], "{:.3f}"), row["kv_bytes"].get<std::size_t>(),
        number_text(row["ratio_fp32"], "{:.2f} x"), number_text(row["ratio_fp16"], "{:.2f} x"),
        number_text(row["fp32_share_mean"], "{:.1f} %", 100.0),
        number_text(row["fp32_share_end"], "{:.1f} %", 100.0),
        number_text(row["value_fp32_share_mean"], "{:.1f} %", 100.0),
        number_text(row["value_fp32_share_end"], "{:.1f} %", 100.0));
    if (masses) {
      out += fmt::format(" {} | {} |", number_text(row["exact_key_mass"], "{:.1f} %", 100.0),
                         number_text(row["exact_value_mass"], "{:.1f} %", 100.0));
    }
    out += "\n";
  });
  return out;
}

std::string text_table(const Json& record, double margin_percent) {
  std::string out =
      "| text | keys/values | PPL | Δ NLL [95 % interval] | p | verdict |\n"
      "|---|---|---|---|---|---|\n";
  const auto add = [&](const std::string& name, const Json& table) {
    for_rows(table, [&](const Json& row, bool baseline) {
      out += fmt::format("| {} | {} | {} |{}\n", name, row["configuration"].get<std::string>(),
                         number_text(row["perplexity"], "{:.4f}"),
                         baseline ? " baseline | - | - |" : difference_cells(row, margin_percent));
    });
  };
  for (const Json& text : record["texts"]) {
    add(text["baseline"]["text_path"].get<std::string>(), text);
  }
  add("macro average", record["macro"]);
  return out;
}

/// A block character for a share of the line's height.
const char* block_of(double share) {
  constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  return kBlocks[static_cast<int>(std::clamp(share * 8.0, 0.0, 7.0))];
}

std::int64_t last_position(const LockstepResult& result) {
  return *std::ranges::max_element(result.positions);
}

}  // namespace

std::string comparison_report(const Json& record) {
  const Json& base = record["baseline"];
  const double margin = record["margin_percent"].get<double>();
  std::string out =
      fmt::format("{}, {} scored tokens in {} of up to {}, {} math\n\n",
                  base["model_path"].get<std::string>(), base["scored_tokens"].get<std::int64_t>(),
                  counted(base["contexts"].get<std::int64_t>(), "context"),
                  base["context"].get<int>(), base["math"].get<std::string>());
  out += quality_table(record, margin) + "\n" + divergence_table(record) + "\n" +
         cost_table(record) + "\n";
  if (record.contains("texts")) out += text_table(record, margin) + "\n";
  out += fmt::format(
      "{} tokens/s through {} configurations at once ({} s, {}, {}, batch {}), peak memory "
      "{} MiB\n",
      number_text(base["tokens_per_second"], "{:.1f}"), record["rows"].size() + 1,
      number_text(base["seconds"], "{:.2f}"), base["isa"].get<std::string>(),
      counted(base["threads"].get<int>(), "thread"), base["batch"].get<int>(),
      number_text(base["peak_rss_bytes"], "{:.1f}", 1.0 / 1024.0 / 1024.0));
  return out;
}

std::string positions_csv(const ComparisonMeasurement& measurement) {
  const LockstepResult all = pooled(measurement.results);
  const std::int64_t last = last_position(all);
  std::vector<std::int64_t> single(static_cast<std::size_t>(last) + 1);
  std::iota(single.begin(), single.end(), 1);
  std::string out = "configuration,bins,begin,end,tokens,mean_nll,delta_nll,kl_mean\n";
  for (std::size_t c = 0; c < measurement.specs.size(); ++c) {
    const auto add = [&](const char* kind, const std::vector<std::int64_t>& edges) {
      for (const PositionBin& bin : position_bins(all, static_cast<int>(c), edges)) {
        out +=
            fmt::format("{},{},{},{},{},{},{},{}\n", kv_spec_text(measurement.specs[c]), kind,
                        bin.begin, bin.end, bin.tokens, bin.mean_nll, bin.delta_nll, bin.kl_mean);
      }
    };
    add("position", single);
    add("log", log_edges(last));
  }
  return out;
}

std::string sparklines(const ComparisonMeasurement& measurement) {
  const LockstepResult all = pooled(measurement.results);
  const std::int64_t last = last_position(all);
  std::string out = fmt::format(
      "\nmean KL by position in the context, 1 to {} in bins of half an octave:\n", last);
  for (std::size_t c = 1; c < measurement.specs.size(); ++c) {
    const std::vector<PositionBin> bins = position_bins(all, static_cast<int>(c), log_edges(last));
    const double top = std::ranges::max(bins, {}, &PositionBin::kl_mean).kl_mean;
    std::string line;
    for (const PositionBin& bin : bins) line += block_of(top > 0.0 ? bin.kl_mean / top : 0.0);
    out += fmt::format("{}  up to {:.3g}  {}\n", line, top, kv_spec_text(measurement.specs[c]));
  }
  return out;
}

}  // namespace quant::tool
