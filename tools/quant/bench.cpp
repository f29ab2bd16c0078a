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

/// A speed as a share of a limit; null without one of the two.
Json share(double speed, double limit) {
  return speed > 0.0 && limit > 0.0 ? Json(speed / limit) : Json(nullptr);
}

/// Prefills that the machine could do in a second if products with weights were all.
double most_prefills(const BenchResult& r, const MachineLimits& limits) {
  if (limits.read_bytes_per_second == 0.0) return 0.0;
  return 1.0 / (r.prefill_float_products / limits.float_products_per_second +
                r.prefill_int8_products / limits.int8_products_per_second);
}

Json bench_row(const BenchResult& r, const std::string& configuration, const MachineLimits& limits,
               const BenchOptions& options) {
  const std::size_t decode_bytes = r.decode_weight_bytes + r.decode_cache_bytes;
  return {
      {"depth", r.depth},
      {"prompt", options.prefill},
      {"generated", options.decode},
      {"prefill_tokens_per_second", rate(r.prefill.median)},
      {"prefill_low", rate(r.prefill.low)},
      {"prefill_high", rate(r.prefill.high)},
      {"decode_tokens_per_second", rate(r.decode.median)},
      {"decode_low", rate(r.decode.low)},
      {"decode_high", rate(r.decode.high)},
      {"decode_bytes_per_token", decode_bytes},
      {"decode_weight_bytes", r.decode_weight_bytes},
      {"decode_cache_bytes", r.decode_cache_bytes},
      {"decode_bandwidth_share",
       share(r.decode.median * static_cast<double>(decode_bytes), limits.read_bytes_per_second)},
      {"prefill_peak_share", share(r.prefill.median, options.prefill * most_prefills(r, limits))},
      {"kv_bytes", r.cache_bytes},
      {"configuration", configuration}};
}

Json bench_record(const Session& session, const RunOptions& run, const MachineLimits& limits,
                  const std::vector<BenchResult>& results, const BenchOptions& options) {
  Json record = configuration_record(session, run);
  record["repetitions"] = options.repetitions;
  record["read_bytes_per_second"] = rate(limits.read_bytes_per_second);
  record["float_products_per_second"] = rate(limits.float_products_per_second);
  record["int8_products_per_second"] = rate(limits.int8_products_per_second);
  record["rows"] = Json::array();
  for (const BenchResult& result : results) {
    record["rows"].push_back(
        bench_row(result, kv_spec_text(session.options().kv), limits, options));
  }
  return record;
}

/// A line for each depth, with what is the same for all of them.
std::string csv_of(const Json& record) {
  std::string out;
  for (Json row : record["rows"]) {
    for (const char* name :
         {"model_path", "cpu", "isa", "math", "threads", "batch", "read_bytes_per_second",
          "float_products_per_second", "int8_products_per_second", "peak_rss_bytes"}) {
      row[name] = record[name];
    }
    std::string header;
    std::string line;
    for (const auto& [name, value] : row.items()) {
      const char* const comma = header.empty() ? "" : ",";
      header += comma + name;
      line += comma + (value.is_null() ? "" : value.dump());
    }
    out += (out.empty() ? header + "\n" : "") + line + "\n";
  }
  return out;
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
        number_text(row["prefill_tokens_per_second"], "{:.1f}"),
        number_text(row["prefill_low"], "{:.1f}"), number_text(row["prefill_high"], "{:.1f}"),
        number_text(row["prefill_peak_share"], "{:.1f}", 100.0),
        number_text(row["decode_tokens_per_second"], "{:.1f}"),
        number_text(row["decode_low"], "{:.1f}"), number_text(row["decode_high"], "{:.1f}"),
        number_text(row["decode_bytes_per_token"], "{:.1f}", 1e-6),
        number_text(row["decode_bandwidth_share"], "{:.1f}", 100.0),
        number_text(row["kv_bytes"], "{:.1f}", 1.0 / kMiB));
  }
  return out;
}

std::string limits_line(const Json& r) {
  if (r["read_bytes_per_second"].is_null()) return "limits: not measured";
  return fmt::format(
      "limits: {:.1f} GB/s read, {:.1f} G FP32 and {:.1f} G int8 products per second",
      r["read_bytes_per_second"].get<double>() / kGiga,
      r["float_products_per_second"].get<double>() / kGiga,
      r["int8_products_per_second"].get<double>() / kGiga);
}

std::string report(const Json& r) {
  return fmt::format("{} on {} ({}), {} math, {}\n{}\n\n{}\npeak memory {:.1f} MiB\n",
                     r["model_path"].get<std::string>(), r["cpu"].get<std::string>(),
                     r["isa"].get<std::string>(), r["math"].get<std::string>(),
                     counted(r["threads"].get<int>(), "thread"), limits_line(r), table_of(r),
                     r["peak_rss_bytes"].get<double>() / kMiB);
}

/// In llama-bench -o names a form.
void refuse_form_as_file(const std::string& output) {
  for (const char* form : {"json", "jsonl", "csv", "md", "sql"}) {
    if (output != form) continue;
    throw Error(
        ErrorKind::kUsage,
        fmt::format("-o names a file; for another form of output give --json, --csv or --md "
                    "(or -o ./{} if that is the file)",
                    form));
  }
}

/// Positions that a depth takes, together with what is timed there.
std::int64_t needed_at(int depth, const BenchOptions& options) {
  return std::int64_t{depth} + std::max(options.prefill, options.decode);
}

/// Those asked for, or those of the default that the context holds.
std::vector<int> depths_of(const BenchArguments& bench, std::int64_t context) {
  if (!bench.depths.empty()) return bench.depths;
  std::vector<int> depths = {0};
  for (const int depth : {4096, 7680}) {
    if (needed_at(depth, bench.measure) <= context) depths.push_back(depth);
  }
  return depths;
}

void require_context(int deepest, std::int64_t needed, int asked, int trained) {
  if (needed <= (asked > 0 ? asked : trained)) return;
  const std::string has = asked > 0
                              ? fmt::format("-c is {}; raise it or leave it out", asked)
                              : fmt::format("the model has {}; raise -c to go beyond it", trained);
  throw Error(ErrorKind::kUsage,
              fmt::format("a depth of {} needs a context of {} and {}", deepest, needed, has));
}

/// Zeros if there is no memory to measure in: then there are no shares.
MachineLimits machine_limits(const SessionOptions& options) {
  try {
    return measure_machine(options.isa, options.threads);
  } catch (const OutOfMemory& error) {
    warn(fmt::format("no {} of memory to measure this machine's limits in: shares are left out",
                     format_bytes(static_cast<double>(error.bytes()))));
    return {};
  }
}

}  // namespace

void run_bench(const RunOptions& run, const BenchArguments& bench) {
  refuse_form_as_file(run.output);
  if (bench.measure.prefill == 0 && bench.measure.decode == 0) {
    throw Error(ErrorKind::kUsage, "nothing to measure: -p and -n are both 0");
  }
  SessionOptions options = session_options(run, MathMode::kFast);
  const auto model = Model::load(run.model, {.threads = options.threads});
  const int trained = model->config().context_length;
  const std::vector<int> depths = depths_of(bench, run.context > 0 ? run.context : trained);
  const int deepest = *std::ranges::max_element(depths);
  const std::int64_t needed = needed_at(deepest, bench.measure);
  require_context(deepest, needed, run.context, trained);
  options.context = std::max(static_cast<int>(needed), run.context);
  options.reserve = static_cast<int>(needed);
  warn_beyond_training(options.context, model->config());
  Session session(model, options);
  std::vector<BenchResult> results;
  for (const int depth : depths) {
    ProgressBar bar(fmt::format("depth {}", depth));
    results.push_back(
        measure_speed(session, depth, bench.measure,
                      [&](std::int64_t done, std::int64_t total) { bar.update(done, total); }));
  }
  // Last, so that its gigabyte is in no measured peak.
  const std::size_t peak = peak_rss_bytes();
  Json record =
      bench_record(session, run, machine_limits(session.options()), results, bench.measure);
  record["peak_rss_bytes"] = peak;
  emit(run, run.json ? to_text(record) : bench.csv ? csv_of(record) : report(record));
}

}  // namespace quant::tool
