#include "report_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "quant/error.h"
#include "quant/paired.h"
#include "quant/pareto.h"
#include "seed_pool.h"

namespace quant::tool {
namespace {

constexpr const char* kHeading[] = {
    "model_path",     "model_sha256",  "architecture", "text_path", "text_sha256", "tokens_sha256",
    "protocol",       "context",       "contexts",     "seed",      "text_offset", "text_tokens",
    "dropped_tokens", "scored_tokens", "math",         "batch",     "version",     "engine_sha256"};
/// Of these the heading and the rows of several seeds have a list, or a sum.
constexpr const char* kListed[] = {"seed", "text_offset", "tokens_sha256"};
constexpr const char* kSummed[] = {"contexts", "scored_tokens"};
/// And these belong to single measurements.
constexpr const char* kSingle[] = {
    "cell",           "standard_error", "reason",           "seconds",
    "dropped_tokens", "peak_rss_bytes", "tokens_per_second"};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Percent of perplexity that a difference of losses comes to.
Json percent(double delta_nll) { return number_or_null(100.0 * std::expm1(delta_nll)); }

bool is_plain_fp32(const GroupRow& row) {
  const Json& record = row.cells[0]->record;
  return record["key_type"] == "fp32" && record["value_type"] == "fp32";
}

bool same_tokens(const StoredCell& a, const StoredCell& b) {
  return a.record["tokens_sha256"] == b.record["tokens_sha256"] &&
         std::ranges::equal(
             a.losses, b.losses, {}, [](const auto& w) { return w.size(); },
             [](const auto& w) { return w.size(); });
}

void require_same_tokens(const GroupRow& row, const GroupRow& base) {
  for (std::size_t s = 0; s < row.cells.size(); ++s) {
    if (same_tokens(*row.cells[s], *base.cells[s])) continue;
    throw Error(ErrorKind::kIo,
                fmt::format("cells {} and {} were measured on different tokens; remove them "
                            "and run the sweep again",
                            row.cells[s]->record["cell"].get<std::string>(),
                            base.cells[s]->record["cell"].get<std::string>()));
  }
}

/// The record of the first cell, with what differs between seeds as lists and sums.
Json pooled_record(const GroupRow& row) {
  Json record = row.cells[0]->record;
  if (row.cells.size() == 1) return record;
  for (const char* name : kListed) {
    record[name] = Json::array();
    for (const StoredCell* cell : row.cells) record[name].push_back(cell->record[name]);
  }
  for (const char* name : kSummed) {
    std::int64_t sum = 0;
    for (const StoredCell* cell : row.cells) sum += cell->record[name].get<std::int64_t>();
    record[name] = sum;
  }
  return record;
}

/// Least and largest of a number over seeds.
void add_range(Json& row, const std::string& name, const std::vector<double>& values) {
  const auto [least, largest] = std::ranges::minmax(values);
  row[name + "_min"] = number_or_null(least);
  row[name + "_max"] = number_or_null(largest);
}

double mean_loss(const StoredCell& cell) {
  const Json& mean = cell.record["mean_nll"];
  return mean.is_null() ? kInfinity : mean.get<double>();
}

/// The perplexity of all tokens of all seeds.
void pool_perplexity(Json& row, const std::vector<const StoredCell*>& cells) {
  for (const char* name : kSingle) row.erase(name);
  const PairedResult losses =
      compare_seeds(cells, std::vector<const StoredCell*>(cells.size(), nullptr));
  const double perplexity = std::exp(losses.delta_nll);
  row["mean_nll"] = number_or_null(losses.delta_nll);
  row["perplexity"] = number_or_null(perplexity);
  row["standard_error_blocks"] = number_or_null(perplexity * losses.standard_error);
  std::vector<double> each;
  for (const StoredCell* cell : cells) each.push_back(std::exp(mean_loss(*cell)));
  add_range(row, "perplexity", each);
}

/// An FP32 cache of the same positions has 32 bits for each value, an FP16 cache half of that.
void add_ratios(Json& row, const Json* fp32) {
  const double bytes = row["kv_bytes"].get<double>();
  const double full = fp32 == nullptr ? std::nan("") : (*fp32)["kv_bytes"].get<double>();
  row["kv_bits"] = number_or_null(32.0 * bytes / full);
  row["ratio_fp32"] = number_or_null(full / bytes);
  row["ratio_fp16"] = number_or_null(full / 2.0 / bytes);
}

void add_difference(Json& row, const PairedResult& paired, double p, double margin) {
  const Judgement judgement = judge(paired, p, margin);
  row["delta_nll"] = number_or_null(paired.delta_nll);
  row["delta_nll_low"] = number_or_null(paired.interval.low);
  row["delta_nll_high"] = number_or_null(paired.interval.high);
  row["delta_percent"] = percent(paired.delta_nll);
  row["delta_percent_low"] = percent(paired.interval.low);
  row["delta_percent_high"] = percent(paired.interval.high);
  row["p_value"] = number_or_null(p);
  row["worse_share"] = number_or_null(paired.worse_share);
  row["blocks"] = paired.blocks;
  row["verdict"] = verdict_name(judgement.verdict);
  row["tokens_to_resolve"] =
      judgement.tokens_to_resolve > 0 ? Json(judgement.tokens_to_resolve) : Json(nullptr);
}

void add_differences(Json& out, const std::vector<GroupRow>& rows, std::size_t base,
                     double margin_percent) {
  std::vector<std::size_t> compared;
  std::vector<PairedResult> results;
  std::vector<double> p_values;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == base) continue;
    require_same_tokens(rows[i], rows[base]);
    compared.push_back(i);
    results.push_back(compare_seeds(rows[i].cells, rows[base].cells));
    p_values.push_back(results.back().p_value);
  }
  const std::vector<double> adjusted = holm_adjusted(p_values);
  for (std::size_t c = 0; c < compared.size(); ++c) {
    Json& row = out[compared[c]];
    add_difference(row, results[c], adjusted[c], margin_percent);
    const std::vector<const StoredCell*>& cells = rows[compared[c]].cells;
    if (cells.size() == 1) continue;
    std::vector<double> each;
    for (std::size_t s = 0; s < cells.size(); ++s) {
      const double difference = mean_loss(*cells[s]) - mean_loss(*rows[base].cells[s]);
      each.push_back(100.0 * std::expm1(difference));
    }
    add_range(row, "delta_percent", each);
  }
}

void add_front(Json& rows) {
  std::vector<CostPoint> points;
  for (const Json& row : rows) {
    points.push_back({row["kv_bytes"].get<double>(),
                      row["perplexity"].is_null() ? kInfinity : row["mean_nll"].get<double>()});
  }
  const std::vector<bool> front = pareto_front(points);
  for (std::size_t i = 0; i < front.size(); ++i) rows[i]["pareto"] = static_cast<bool>(front[i]);
}

}  // namespace

Json report_group(const std::vector<GroupRow>& rows, double margin_percent) {
  const auto found = std::ranges::find_if(rows, is_plain_fp32);
  const std::size_t base = found == rows.end() ? 0 : static_cast<std::size_t>(found - rows.begin());
  const Json baseline = pooled_record(rows[base]);
  const std::size_t seeds = rows[base].cells.size();
  Json group;
  for (const char* name : kHeading) group[name] = baseline[name];
  if (seeds > 1) group.erase("dropped_tokens");
  group["seeds"] = seeds;
  group["baseline"] = rows[base].label;
  group["rows"] = Json::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Json row{{"label", rows[i].label}, {"baseline", i == base}, {"seeds", seeds}};
    row.update(pooled_record(rows[i]));
    if (seeds > 1) pool_perplexity(row, rows[i].cells);
    add_ratios(row, found == rows.end() ? nullptr : &baseline);
    group["rows"].push_back(std::move(row));
  }
  add_differences(group["rows"], rows, base, margin_percent);
  add_front(group["rows"]);
  return group;
}

}  // namespace quant::tool
