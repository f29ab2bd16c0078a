#include "quant/bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "console.h"
#include "quant/error.h"
#include "record.h"

namespace quant::tool {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMiB = 1024.0 * 1024.0;

/// Rates that were not asked for are null.
Json rate(double value) { return value > 0.0 ? Json(value) : Json(nullptr); }

Json bench_row(const BenchResult& r, const std::string& configuration, const MachineLimits& limits,
               MathMode math, const BenchOptions& options) {
  const double decode_bytes = static_cast<double>(r.decode_weight_bytes + r.decode_cache_bytes);
  const double peak =
      math == MathMode::kExact ? limits.float_products_per_second : limits.int8_products_per_second;
  return {{"depth", r.depth},
          {"prompt", options.prefill},
          {"generated", options.decode},
          {"prefill_tokens_per_second", rate(r.prefill.median)},
          {"prefill_low", rate(r.prefill.low)},
          {"prefill_high", rate(r.prefill.high)},
          {"decode_tokens_per_second", rate(r.decode.median)},
          {"decode_low", rate(r.decode.low)},
          {"decode_high", rate(r.decode.high)},
          {"decode_bytes_per_token", r.decode_weight_bytes + r.decode_cache_bytes},
          {"decode_weight_bytes", r.decode_weight_bytes},
          {"decode_cache_bytes", r.decode_cache_bytes},
          {"decode_bandwidth_share",
           rate(r.decode.median * decode_bytes / limits.read_bytes_per_second)},
          {"prefill_peak_share", rate(r.prefill.median * r.prefill_products / peak)},
          {"kv_bytes", r.cache_bytes},
          {"configuration", configuration}};
}

Json bench_record(const Session& session, const RunOptions& run, const MachineLimits& limits,
                  const std::vector<BenchResult>& results, const BenchOptions& options) {
  Json record = configuration_record(session, run);
  record["repetitions"] = options.repetitions;
  record["read_bytes_per_second"] = limits.read_bytes_per_second;
  record["float_products_per_second"] = limits.float_products_per_second;
  record["int8_products_per_second"] = limits.int8_products_per_second;
  record["rows"] = Json::array();
  for (const BenchResult& result : results) {
    record["rows"].push_back(bench_row(result, kv_spec_text(session.options().kv), limits,
                                       session.options().math, options));
  }
  return record;
}

std::string cell(const Json& value, const char* format, double factor = 1.0) {
  if (value.is_null()) return "-";
  return fmt::format(fmt::runtime(format), value.get<double>() * factor);
}

std::string csv_of(const Json& record) {
  std::string out;
  for (const auto& [name, value] : record["rows"].front().items()) {
    out += (out.empty() ? "" : ",") + name;
  }
  for (const Json& row : record["rows"]) {
    std::string line;
    for (const auto& [name, value] : row.items()) {
      if (!line.empty()) line += ',';
      line += value.is_null() ? "" : value.dump();
    }
    out += "\n" + line;
  }
  return out + "\n";
}

std::string table_of(const Json& record) {
  std::string out =
      "| keys/values | depth | prefill t/s (low to high) | share of peak | decode t/s (low to "
      "high) "
      "| MB read per token | share of bandwidth | MiB allocated |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const Json& row : record["rows"]) {
    out += fmt::format(
        "| {} | {} | {} ({} to {}) | {} % | {} ({} to {}) | {} | {} % | {} |\n",
        row["configuration"].get<std::string>(), row["depth"].get<int>(),
        cell(row["prefill_tokens_per_second"], "{:.1f}"), cell(row["prefill_low"], "{:.1f}"),
        cell(row["prefill_high"], "{:.1f}"), cell(row["prefill_peak_share"], "{:.1f}", 100.0),
        cell(row["decode_tokens_per_second"], "{:.1f}"), cell(row["decode_low"], "{:.1f}"),
        cell(row["decode_high"], "{:.1f}"), cell(row["decode_bytes_per_token"], "{:.1f}", 1e-6),
        cell(row["decode_bandwidth_share"], "{:.1f}", 100.0),
        cell(row["kv_bytes"], "{:.1f}", 1.0 / kMiB));
  }
  return out;
}

std::string report(const Json& r) {
  return fmt::format(
             "{} on {} ({}), {} math, {}\n"
             "limits: {:.1f} GB/s read, {:.1f} G FP32 and {:.1f} G int8 products per second\n\n",
             r["model_path"].get<std::string>(), r["cpu"].get<std::string>(),
             r["isa"].get<std::string>(), r["math"].get<std::string>(),
             counted(r["threads"].get<int>(), "thread"),
             r["read_bytes_per_second"].get<double>() / kGiga,
             r["float_products_per_second"].get<double>() / kGiga,
             r["int8_products_per_second"].get<double>() / kGiga) +
         table_of(r) +
         fmt::format("\npeak memory {:.1f} MiB\n", r["peak_rss_bytes"].get<double>() / kMiB);
}

}  // namespace

void run_bench(const RunOptions& run, const BenchArguments& bench) {
  SessionOptions options = session_options(run, MathMode::kFast);
  const auto model = Model::load(run.model, {.threads = options.threads});
  const int deepest = *std::ranges::max_element(bench.depths);
  const std::int64_t needed =
      std::int64_t{deepest} + std::max(bench.measure.prefill, bench.measure.decode);
  if (bench.measure.prefill == 0 && bench.measure.decode == 0) {
    throw Error(ErrorKind::kUsage, "nothing to measure: -p and -n are both 0");
  }
  if (needed > (run.context > 0 ? run.context : model->config().context_length)) {
    throw Error(
        ErrorKind::kUsage,
        run.context > 0
            ? fmt::format(
                  "a depth of {} needs a context of {} and -c is {}; raise it or leave it out",
                  deepest, needed, run.context)
            : fmt::format(
                  "a depth of {} needs a context of {} and the model has {}; raise -c to go "
                  "beyond it",
                  deepest, needed, model->config().context_length));
  }
  options.context = std::max(static_cast<int>(needed), run.context);
  options.reserve = static_cast<int>(needed);
  warn_beyond_training(options.context, model->config());
  Session session(model, options);
  std::vector<BenchResult> results;
  for (const int depth : bench.depths) {
    ProgressBar bar(fmt::format("depth {}", depth));
    results.push_back(measure_speed(session, depth, bench.measure,
                                    [&](int done, int total) { bar.update(done, total); }));
  }
  // Last, so that its gigabyte is in no measured peak.
  const std::size_t peak = peak_rss_bytes();
  const MachineLimits limits = measure_machine(session.options().isa, session.options().threads);
  Json record = bench_record(session, run, limits, results, bench.measure);
  record["peak_rss_bytes"] = peak;
  emit(run, run.json         ? to_text(record)
            : bench.csv      ? csv_of(record)
            : bench.markdown ? table_of(record)
                             : report(record));
}

}  // namespace quant::tool
