#include "report_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "quant/error.h"
#include "quant/paired.h"
#include "quant/pareto.h"

namespace quant::tool {
namespace {

/// What the rows of a group have in common, as grid.json and the records name it.
constexpr const char* kShared[] = {"model_sha256", "text_sha256", "protocol", "context", "stride",
                                   "chunks",       "text_offset", "math",     "batch"};
constexpr const char* kHeading[] = {
    "model_path",     "model_sha256",  "architecture", "text_path", "text_sha256", "tokens_sha256",
    "protocol",       "context",       "contexts",     "seed",      "text_offset", "text_tokens",
    "dropped_tokens", "scored_tokens", "math",         "batch",     "version",     "engine_sha256"};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Percent of perplexity that a difference of losses comes to.
Json percent(double delta_nll) { return number_or_null(100.0 * std::expm1(delta_nll)); }

bool is_plain_fp32(const Json& record) {
  return record["key_type"] == "fp32" && record["value_type"] == "fp32";
}

PairedResult compare(const StoredCell& cell, const StoredCell& base) {
  std::vector<std::vector<double>> deltas;
  for (std::size_t w = 0; w < cell.losses.size(); ++w) {
    std::vector<double>& delta = deltas.emplace_back(cell.losses[w]);
    for (std::size_t i = 0; i < delta.size(); ++i) delta[i] -= base.losses[w][i];
  }
  const std::vector<PairedRun> runs(deltas.begin(), deltas.end());
  return compare_paired(runs);
}

bool same_tokens(const StoredCell& a, const StoredCell& b) {
  return a.record["tokens_sha256"] == b.record["tokens_sha256"] &&
         std::ranges::equal(
             a.losses, b.losses, {}, [](const auto& w) { return w.size(); },
             [](const auto& w) { return w.size(); });
}

/// Rows of one group, in the order of the grid.
class GroupBuilder {
 public:
  void add(std::string label, StoredCell cell) {
    labels_.push_back(std::move(label));
    cells_.push_back(std::move(cell));
  }

  Json build(double margin_percent) const {
    const auto found = std::ranges::find_if(
        cells_, [](const StoredCell& cell) { return is_plain_fp32(cell.record); });
    const std::size_t base =
        found == cells_.end() ? 0 : static_cast<std::size_t>(found - cells_.begin());
    const StoredCell& baseline = cells_[base];
    Json group;
    for (const char* name : kHeading) group[name] = baseline.record[name];
    group["baseline"] = labels_[base];
    group["rows"] = Json::array();
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      Json row{{"label", labels_[i]}, {"baseline", i == base}};
      row.update(cells_[i].record);
      add_ratios(row, found == cells_.end() ? nullptr : &baseline.record);
      group["rows"].push_back(std::move(row));
    }
    add_differences(group["rows"], base, margin_percent);
    add_front(group["rows"]);
    return group;
  }

 private:
  /// An FP32 cache of the same positions has 32 bits for each value, an FP16 cache half of that.
  static void add_ratios(Json& row, const Json* fp32) {
    const double bytes = row["kv_bytes"].get<double>();
    const double full = fp32 == nullptr ? std::nan("") : (*fp32)["kv_bytes"].get<double>();
    row["kv_bits"] = number_or_null(32.0 * bytes / full);
    row["ratio_fp32"] = number_or_null(full / bytes);
    row["ratio_fp16"] = number_or_null(full / 2.0 / bytes);
  }

  void add_differences(Json& rows, std::size_t base, double margin_percent) const {
    std::vector<std::size_t> compared;
    std::vector<PairedResult> results;
    std::vector<double> p_values;
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (i == base) continue;
      if (!same_tokens(cells_[i], cells_[base])) {
        throw Error(ErrorKind::kIo,
                    fmt::format("cells {} and {} were measured on different tokens; remove them "
                                "and run the sweep again",
                                cells_[i].record["cell"].get<std::string>(),
                                cells_[base].record["cell"].get<std::string>()));
      }
      compared.push_back(i);
      results.push_back(compare(cells_[i], cells_[base]));
      p_values.push_back(results.back().p_value);
    }
    const std::vector<double> adjusted = holm_adjusted(p_values);
    for (std::size_t c = 0; c < compared.size(); ++c) {
      add_difference(rows[compared[c]], results[c], adjusted[c], margin_percent);
    }
  }

  static void add_difference(Json& row, const PairedResult& paired, double p, double margin) {
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

  static void add_front(Json& rows) {
    std::vector<CostPoint> points;
    for (const Json& row : rows) {
      points.push_back({row["kv_bytes"].get<double>(),
                        row["perplexity"].is_null() ? kInfinity : row["mean_nll"].get<double>()});
    }
    const std::vector<bool> front = pareto_front(points);
    for (std::size_t i = 0; i < front.size(); ++i) rows[i]["pareto"] = static_cast<bool>(front[i]);
  }

  std::vector<std::string> labels_;
  std::vector<StoredCell> cells_;
};

std::string group_name(const Json& cell) {
  std::string name;
  for (const char* field : kShared) name += cell[field].dump() + " ";
  return name;
}

}  // namespace

Json report_data(const SweepStore& store, double margin_percent) {
  const Json grid = store.grid();
  std::vector<GroupBuilder> groups;
  std::map<std::string, std::size_t> places;
  int missing = 0;
  for (const Json& cell : grid["cells"]) {
    const std::string key = cell["key"];
    if (!store.has(key)) {
      ++missing;
      continue;
    }
    const auto [at, fresh] = places.try_emplace(group_name(cell), groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].add(cell["label"], store.load(key));
  }
  if (groups.empty()) throw Error(ErrorKind::kUsage, "no cell of this sweep was measured yet");
  Json data{{"schema_version", 1},
            {"margin_percent", margin_percent},
            {"cells", grid["cells"].size()},
            {"missing", missing},
            {"groups", Json::array()}};
  for (const GroupBuilder& group : groups) data["groups"].push_back(group.build(margin_percent));
  return data;
}

}  // namespace quant::tool
