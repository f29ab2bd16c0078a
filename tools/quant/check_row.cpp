#include <fmt/format.h>

#include <cmath>

#include "check.h"
#include "quant/error.h"
#include "quant/kv_spec.h"
#include "quant/paired.h"

namespace quant::tool {
namespace {

/// Differences of the losses of each token, now minus before.
std::vector<double> differences(const Json& before, const Json& now) {
  const auto old_losses = before["losses"].get<std::vector<double>>();
  auto delta = now["losses"].get<std::vector<double>>();
  if (old_losses.size() != delta.size()) {
    throw Error(ErrorKind::kModel,
                fmt::format("not comparable: {} scored tokens, the baseline has {}", delta.size(),
                            old_losses.size()));
  }
  for (std::size_t i = 0; i < delta.size(); ++i) delta[i] -= old_losses[i];
  return delta;
}

PairedResult paired(const Json& before, const Json& now,
                    const std::vector<std::int64_t>& run_lengths) {
  const std::vector<double> delta = differences(before, now);
  std::vector<PairedRun> runs;
  std::size_t begin = 0;
  for (const std::int64_t length : run_lengths) {
    runs.push_back({std::span(delta).subspan(begin, static_cast<std::size_t>(length)), 1.0});
    begin += static_cast<std::size_t>(length);
  }
  return compare_paired(runs);
}

std::string name_of(const Json& record) {
  const KvSide key{parse_kv_type(record["key_type"].get<std::string>()),
                   record["key_window"].get<int>(), record["sink"].get<int>()};
  const KvSide value{parse_kv_type(record["value_type"].get<std::string>()),
                     record["value_window"].get<int>(), record["sink"].get<int>()};
  return kv_spec_text({key, value});
}

/// Why a row fails, "" if it does not.
std::string complaint(const Json& row, const CheckArguments& check) {
  const double delta = row["delta_nll"].get<double>();
  if (row["kv_bytes"] > row["kv_bytes_before"]) return "the cache has grown";
  switch (parse_tolerance(check.tolerance)) {
    case Tolerance::kExact:
      return delta == 0.0 ? "" : "the loss is not the same";
    case Tolerance::kInterval:
      if (row["delta_nll_low"].is_null()) return "too few blocks for an interval";
      return row["delta_nll_low"].get<double>() > 0.0 ? "the interval lies above 0" : "";
    default:
      break;
  }
  return 100.0 * std::expm1(delta) > check.percent
             ? fmt::format("more than {} % worse", check.percent)
             : "";
}

}  // namespace

Tolerance parse_tolerance(const std::string& name) {
  if (name == "exact") return Tolerance::kExact;
  if (name == "relative") return Tolerance::kRelative;
  if (name == "interval") return Tolerance::kInterval;
  throw Error(ErrorKind::kUsage,
              fmt::format("unknown tolerance '{}'; known: exact, relative, interval", name));
}

CheckedRow check_row(const Json& before, const Json& now,
                     const std::vector<std::int64_t>& run_lengths, const CheckArguments& check) {
  const double delta = now["mean_nll"].get<double>() - before["mean_nll"].get<double>();
  Json row{{"configuration", name_of(now)},
           {"perplexity_before", before["perplexity"]},
           {"perplexity", now["perplexity"]},
           {"delta_nll", delta}};
  std::string interval;
  if (before.contains("losses")) {
    const PairedResult result = paired(before, now, run_lengths);
    row["delta_nll_low"] = number_or_null(result.interval.low);
    row["delta_nll_high"] = number_or_null(result.interval.high);
    row["p_value"] = result.p_value;
    interval = fmt::format(" [{:+.6f}, {:+.6f}]", result.interval.low, result.interval.high);
  }
  row["kv_bytes_before"] = before["kv_bytes"];
  row["kv_bytes"] = now["kv_bytes"];
  const std::string why = complaint(row, check);
  row["passed"] = why.empty();
  const Json& perplexity = row["perplexity"];
  std::string message = fmt::format(
      "perplexity {}, was {:.6f} ({:+.4f} %), loss {:+.6f}{} nats, cache {} bytes, was {}",
      perplexity.is_number() ? fmt::format("{:.6f}", perplexity.get<double>()) : "not finite",
      before["perplexity"].get<double>(), 100.0 * std::expm1(delta), delta, interval,
      row["kv_bytes"].get<std::int64_t>(), row["kv_bytes_before"].get<std::int64_t>());
  if (!why.empty()) message += ": " + why;
  row["message"] = message;
  const std::string name = row["configuration"].get<std::string>();
  return {name, why.empty(), std::move(message), std::move(row)};
}

}  // namespace quant::tool
