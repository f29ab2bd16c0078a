#include "record.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cmath>

#include "files.h"
#include "quant/version.h"

namespace quant::tool {

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::size_t peak_rss_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

Json configuration_record(const Session& session, const RunOptions& run) {
  const SessionOptions& options = session.options();
  const CacheMemory memory = session.cache_memory();
  Json record{{"schema_version", 1},
              {"version", version()},
              {"compiler", compiler()},
              {"cpu", cpu_name()},
              {"isa", isa_name(options.isa)},
              {"math", math_mode_name(options.math)},
              {"threads", options.threads},
              {"threads_requested", run.threads},
              {"batch", options.batch},
              {"model_path", run.model},
              {"model_sha256", sha256_of_files(session.model().paths())},
              {"architecture", session.model().config().architecture},
              {"key_type", kv_format_info(options.kv.key.type).name},
              {"value_type", kv_format_info(options.kv.value.type).name},
              {"key_window", options.kv.key.window},
              {"value_window", options.kv.value.window},
              {"sink", options.kv.key.sink},
              {"key_bits", memory.key_bits},
              {"value_bits", memory.value_bits},
              {"kv_bytes", memory.allocated},
              {"kv_bytes_formula", memory.formula},
              {"kv_positions", memory.positions}};
  if (!session.rope_factors().empty()) record["rope_factors"] = session.rope_factors();
  return record;
}

namespace {

/// Why a number of the record is null; nullptr if none is.
const char* reason_of_nulls(const PerplexityResult& result) {
  if (!std::isfinite(result.perplexity)) return "the mean loss overflows exp";
  if (!std::isfinite(result.standard_error)) return "a standard error needs two scored tokens";
  if (std::isfinite(result.standard_error_blocks)) return nullptr;
  return "a standard error over blocks needs two blocks of 64 scored tokens";
}

}  // namespace

Json perplexity_record(const Session& session, const RunOptions& run, const EvalPlan& plan,
                       const PerplexityResult& result, const std::string& text,
                       const std::string& text_path, std::span<const Token> tokens) {
  const ModelConfig& config = session.model().config();
  const KvSpec& kv = session.options().kv;
  const Fp32Share keys = fp32_share(config, kv.key, plan);
  const Fp32Share values = fp32_share(config, kv.value, plan);
  const std::string_view token_bytes(reinterpret_cast<const char*>(tokens.data()),
                                     tokens.size_bytes());
  Json record = configuration_record(session, run);
  // Without a text the tokens came from a file of log-probabilities.
  record["text_path"] = text_path.empty() ? Json(nullptr) : Json(text_path);
  record["text_sha256"] = text_path.empty() ? Json(nullptr) : Json(sha256_of(text));
  record["tokens_sha256"] = sha256_of(token_bytes);
  record["protocol"] = protocol_name(plan.protocol);
  record["context"] = plan.context;
  record["contexts"] = plan.windows.size();
  record["text_tokens"] = plan.text_tokens;
  record["dropped_tokens"] = plan.dropped_tokens;
  record["scored_tokens"] = result.scored_tokens;
  record["perplexity"] = number_or_null(result.perplexity);
  if (const char* reason = reason_of_nulls(result)) record["reason"] = reason;
  record["mean_nll"] = number_or_null(result.mean_nll);
  record["standard_error"] = number_or_null(result.standard_error);
  record["standard_error_blocks"] = number_or_null(result.standard_error_blocks);
  record["fp32_share_end"] = keys.end;
  record["fp32_share_mean"] = keys.mean;
  record["value_fp32_share_end"] = values.end;
  record["value_fp32_share_mean"] = values.mean;
  record["seconds"] = result.seconds;
  record["tokens_per_second"] = static_cast<double>(plan.run_tokens()) / result.seconds;
  record["peak_rss_bytes"] = peak_rss_bytes();
  return record;
}

std::string to_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void emit(const RunOptions& run, const std::string& result) {
  if (run.output.empty()) {
    fmt::print("{}", result);
  } else {
    write_file(run.output, result);
  }
}

}  // namespace quant::tool
