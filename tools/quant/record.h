// JSON records of measurements; names and meaning in docs/evaluation.md.
#pragma once

#include <nlohmann/json.hpp>

#include "options.h"
#include "quant/exact_mass.h"
#include "quant/kl_divergence.h"
#include "quant/model.h"
#include "quant/perplexity.h"

namespace quant::tool {

using Json = nlohmann::ordered_json;

/// A finite number, or null.
Json number_or_null(double value);
/// A number of a record, times a factor, in a format of fmt; "-" for null.
std::string number_text(const Json& value, const char* format, double factor = 1.0);
/// Model, machine and how it was used: the same for all formats of one run.
Json machine_record(const Model& model, const SessionOptions& options, const RunOptions& run);
Json spec_record(const KvSpec& spec);
Json memory_record(const CacheMemory& memory);
Json text_record(const EvalPlan& plan, const std::string& text, const std::string& text_path,
                 std::span<const Token> tokens);
/// Over the ids as little-endian 32-bit integers.
std::string tokens_sha256(std::span<const Token> tokens);
/// Perplexity and its errors, FP32 shares, speed; each token's loss if asked for.
Json result_record(const ModelConfig& config, const KvSpec& spec, const EvalPlan& plan,
                   const PerplexityResult& result, bool with_losses);
/// Attention that falls on exact rows, for a record that has the other FP32 shares.
void add_exact_mass(Json& record, const ExactMassShare& share);
Json divergence_record(const DivergenceSummary& divergence);
/// What determines a result: model, format, machine. The first part of every record.
Json configuration_record(const Session& session, const RunOptions& run);
Json perplexity_record(const Session& session, const RunOptions& run, const EvalPlan& plan,
                       const PerplexityResult& result, const std::string& text,
                       const std::string& text_path, std::span<const Token> tokens,
                       bool with_losses);
/// What a measurement wrote with --json -o. Throws Error(kIo), Error(kUsage) if it is none.
Json read_record(const std::string& path);
/// The largest resident memory of this process so far.
std::size_t peak_rss_bytes();

/// Indented text; bytes of names and paths that are not UTF-8 become U+FFFD.
std::string to_text(const Json& json);
/// Prints a result, or writes it to the file that -o names.
void emit(const RunOptions& run, const std::string& result);

}  // namespace quant::tool
