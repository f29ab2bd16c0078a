#include "report_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace quant::tool {
namespace {

constexpr const char* kPlain = "#4a4a4a";
constexpr std::array kColours = {"#0b6e4f", "#b3541e", "#2b5c9e", "#8a2d6b", "#7a6a00", "#00707a"};

std::string short_name(const Json& row) {
  std::string name = row["label"];
  for (const auto& [from, to] : {std::pair{" k-window ", " k"},
                                 {" v-window ", " v"},
                                 {" window ", " w"},
                                 {" sink ", " s"}}) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, std::string_view(from).size(), to);
  }
  return name;
}

double value_or(const Json& row, const char* name, double otherwise) {
  const auto at = row.find(name);
  return at == row.end() || at->is_null() ? otherwise : at->get<double>();
}

/// Few blocks may leave one side of an interval open, or both.
bool has_interval(const Json& row) {
  return row.contains("delta_percent") && row["delta_percent_low"].is_number() &&
         row["delta_percent_high"].is_number();
}

/// A colour for each type of keys; grey for those that are not compressed.
class Palette {
 public:
  std::string of(const std::string& type) {
    if (type == "fp32" || type == "fp16" || type == "bf16") return kPlain;
    const auto at = std::ranges::find(seen_, type);
    const auto index = static_cast<std::size_t>(at - seen_.begin());
    if (at == seen_.end()) seen_.push_back(type);
    return kColours[index % kColours.size()];
  }

 private:
  std::vector<std::string> seen_;
};

std::string detail_of(const Json& row) {
  std::string text = row["label"].get<std::string>();
  if (row["perplexity"].is_null()) return text + "\nperplexity too large for a number";
  text += fmt::format("\nPPL {:.4f}", row["perplexity"].get<double>());
  if (row.contains("delta_percent")) {
    text += fmt::format(", {:+.2f} %", value_or(row, "delta_percent", std::nan("")));
    if (has_interval(row)) {
      text += fmt::format(" (95 %: {:+.2f} to {:+.2f})", row["delta_percent_low"].get<double>(),
                          row["delta_percent_high"].get<double>());
    }
    text += ", " + row["verdict"].get<std::string>();
  }
  return text +
         fmt::format("\n{:.2f} MiB, keys {:.4g} bits, values {:.4g} bits\nFP32 keys {:.1f} %",
                     row["kv_bytes"].get<double>() / kMiB, row["key_bits"].get<double>(),
                     row["value_bits"].get<double>(), 100.0 * row["fp32_share_mean"].get<double>());
}

/// What stands beside the point: its short name and what it costs.
std::string name_of(const Json& row, double percent) {
  const std::string name = short_name(row);
  if (row["perplexity"].is_null() || percent > kMostPercent) return name + " (beyond)";
  if (!row.contains("delta_percent")) return name;
  return name + fmt::format(" {:+.{}f} %", percent, std::abs(percent) < 10.0 ? 2 : 1);
}

}  // namespace

std::vector<ReportPoint> points_of(const Json& group) {
  std::vector<ReportPoint> points;
  Palette palette;
  for (const Json& row : group["rows"]) {
    const double infinite = row["perplexity"].is_null() ? kMostPercent : 0.0;
    const double percent = value_or(row, "delta_percent", infinite);
    const bool known = has_interval(row);
    points.push_back({.name = name_of(row, percent),
                      .detail = detail_of(row),
                      .colour = palette.of(row["key_type"]),
                      .front = row["pareto"],
                      .bytes = row["kv_bytes"],
                      .percent = percent,
                      .low = known ? row["delta_percent_low"].get<double>() : percent,
                      .high = known ? row["delta_percent_high"].get<double>() : percent});
  }
  return points;
}

}  // namespace quant::tool
