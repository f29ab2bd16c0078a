// One text under one configuration, as --ppl, sweep, compare and check share it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "options.h"
#include "quant/model.h"
#include "quant/perplexity.h"
#include "record.h"

namespace quant::tool {

/// A text as a protocol reads it: llama-perplexity drops one newline at the end of a file.
/// Throws Error(kUsage) if nothing is left, Error(kIo).
std::string text_of(const std::string& path, Protocol protocol);
/// Warns of bytes that the vocabulary cannot express: they are in no token.
void warn_of_lost_bytes(const Tokenizer& tokenizer, const std::vector<Token>& tokens,
                        const std::string& text, const std::string& name);
/// Its tokens; warns of lost bytes.
std::vector<Token> encode_text(const Tokenizer& tokenizer, const std::string& path,
                               const std::string& text, bool parse_special = false);
/// The protocol that was asked for, or else the one that the other options need. Throws
/// Error(kUsage).
Protocol protocol_of(const PplOptions& ppl);
/// Throws Error(kUsage).
PlanOptions plan_options(const RunOptions& run, const PplOptions& ppl);

struct Measurement {
  EvalPlan plan;
  PerplexityResult result;
  Json record;
};

/// A perplexity beyond what a number can hold is null in the record. An empty path stands for the
/// tokens of --kl-base.
Measurement measure_text(const RunOptions& run, const PplOptions& ppl, const std::string& path,
                         const Progress& progress);

/// A text that was read, tokenized and divided into windows.
struct PlannedText {
  std::string path;  ///< "" if the tokens are those of --kl-base
  std::string text;
  std::vector<Token> tokens;
  EvalPlan plan;
};
PlannedText plan_text(const Model& model, const std::string& path, PlanOptions wanted);
/// Says on stderr how much of the text is left out, beyond an offset that was asked for.
void say_what_is_left_out(const EvalPlan& plan);
/// The session's options for a plan.
SessionOptions options_for(const EvalPlan& plan, SessionOptions options);

}  // namespace quant::tool
