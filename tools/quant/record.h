// JSON records of measurements; names and meaning in docs/evaluation.md.
#pragma once

#include <nlohmann/json.hpp>

#include "options.h"
#include "quant/model.h"
#include "quant/perplexity.h"

namespace quant::tool {

using Json = nlohmann::ordered_json;

/// A finite number, or null.
Json number_or_null(double value);
/// What determines a result: model, format, machine. The first part of every record.
Json configuration_record(const Session& session, const RunOptions& run);
Json perplexity_record(const Session& session, const RunOptions& run, const EvalPlan& plan,
                       const PerplexityResult& result, const std::string& text,
                       const std::string& text_path, std::span<const Token> tokens);
/// The largest resident memory of this process so far.
std::size_t peak_rss_bytes();

/// Indented text; bytes of names and paths that are not UTF-8 become U+FFFD.
std::string to_text(const Json& json);
/// Prints a result, or writes it to the file that -o names.
void emit(const RunOptions& run, const std::string& result);

}  // namespace quant::tool
