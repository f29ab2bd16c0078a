#include "record.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "files.h"
#include "quant/error.h"
#include "quant/version.h"

namespace quant::tool {

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string number_text(const Json& value, const char* format, double factor) {
  if (!value.is_number()) return "-";
  return fmt::format(fmt::runtime(format), value.get<double>() * factor);
}

std::size_t peak_rss_bytes() {
  // Not getrusage, which also counts what this process was before it became quant.
  std::ifstream status("/proc/self/status");
  std::string name;
  while (status >> name) {
    std::size_t kib = 0;
    if (name == "VmHWM:" && status >> kib) return kib * 1024;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

Json machine_record(const Model& model, const SessionOptions& options, const RunOptions& run) {
  return {{"schema_version", 1},
          {"version", version()},
          {"engine_sha256", source_sha256()},
          {"compiler", compiler()},
          {"cpu", cpu_name()},
          {"isa", isa_name(options.isa)},
          {"math", math_mode_name(options.math)},
          {"threads", options.threads},
          {"threads_requested", run.threads},
          {"batch", options.batch},
          {"model_path", run.model},
          {"model_sha256", sha256_of_files(model.paths())},
          {"architecture", model.config().architecture}};
}

Json spec_record(const KvSpec& spec) {
  return {{"key_type", kv_format_info(spec.key.type).name},
          {"value_type", kv_format_info(spec.value.type).name},
          {"key_window", spec.key.window},
          {"value_window", spec.value.window},
          {"sink", spec.key.sink}};
}

Json memory_record(const CacheMemory& memory) {
  return {{"key_bits", memory.key_bits},
          {"value_bits", memory.value_bits},
          {"kv_bytes", memory.allocated},
          {"kv_bytes_formula", memory.formula},
          {"kv_positions", memory.positions}};
}

std::string tokens_sha256(std::span<const Token> tokens) {
  return sha256_of({reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()});
}

Json text_record(const EvalPlan& plan, const std::string& text, const std::string& text_path,
                 std::span<const Token> tokens) {
  // Without a text the tokens came from a file of log-probabilities.
  const bool is_text = !text_path.empty();
  Json record{{"text_path", is_text ? Json(text_path) : Json(nullptr)},
              {"text_sha256", is_text ? Json(sha256_of(text)) : Json(nullptr)},
              {"tokens_sha256", tokens_sha256(tokens)},
              {"protocol", protocol_name(plan.protocol)},
              {"context", plan.context},
              {"contexts", plan.windows.size()},
              {"text_offset", plan.offset},
              {"text_tokens", plan.text_tokens},
              {"dropped_tokens", plan.dropped_tokens}};
  if (plan.stride > 0) record["stride"] = plan.stride;
  if (plan.chunks > 0) record["chunks"] = plan.chunks;
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

Json result_record(const ModelConfig& config, const KvSpec& spec, const EvalPlan& plan,
                   const PerplexityResult& result, bool with_losses) {
  const Fp32Share keys = fp32_share(config, spec.key, plan);
  const Fp32Share values = fp32_share(config, spec.value, plan);
  Json record{{"scored_tokens", result.scored_tokens},
              {"perplexity", number_or_null(result.perplexity)}};
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
  if (with_losses) {
    for (const TokenLoss& loss : result.losses) record["losses"].push_back(loss.nll);
  }
  return record;
}

void add_exact_mass(Json& record, const ExactMassShare& share) {
  record["exact_key_mass"] = share.keys;
  record["exact_value_mass"] = share.values;
}

Json divergence_record(const DivergenceSummary& divergence) {
  return {{"kl_mean", divergence.kl_mean},
          {"kl_standard_error", number_or_null(divergence.kl_standard_error)},
          {"kl_p50", divergence.kl_p50},
          {"kl_p90", divergence.kl_p90},
          {"kl_p95", divergence.kl_p95},
          {"kl_p99", divergence.kl_p99},
          {"kl_p999", divergence.kl_p999},
          {"kl_max", divergence.kl_max},
          {"same_top1", divergence.same_top1},
          {"delta_p_rms", divergence.delta_p_rms}};
}

Json configuration_record(const Session& session, const RunOptions& run) {
  Json record = machine_record(session.model(), session.options(), run);
  record.update(spec_record(session.options().kv));
  record.update(memory_record(session.cache_memory()));
  if (!session.rope_factors().empty()) record["rope_factors"] = session.rope_factors();
  return record;
}

Json perplexity_record(const Session& session, const RunOptions& run, const EvalPlan& plan,
                       const PerplexityResult& result, const std::string& text,
                       const std::string& text_path, std::span<const Token> tokens,
                       bool with_losses) {
  Json record = configuration_record(session, run);
  record.update(text_record(plan, text, text_path, tokens));
  record.update(
      result_record(session.model().config(), session.options().kv, plan, result, with_losses));
  return record;
}

Json read_record(const std::string& path) {
  const Json record = Json::parse(read_text(path), nullptr, false);
  if (!record.is_object() || record.value("schema_version", Json(0)) != 1) {
    throw Error(
        ErrorKind::kUsage,
        fmt::format("{}: not a record of schema version 1, as --json -o FILE writes", path));
  }
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
