// One text under one configuration: what --ppl prints and what a cell of a sweep holds.
#pragma once

#include <memory>
#include <string>

#include "options.h"
#include "quant/model.h"
#include "quant/perplexity.h"
#include "record.h"

namespace quant::tool {

/// A text as a protocol reads it: llama-perplexity drops one newline at the end of a file.
/// Throws Error(kUsage) if nothing is left, Error(kIo).
std::string text_of(const std::string& path, Protocol protocol);
/// Throws Error(kUsage).
PlanOptions plan_options(const RunOptions& run, const PplOptions& ppl);

struct Measurement {
  EvalPlan plan;
  PerplexityResult result;
  Json record;
};

/// A perplexity beyond what a number can hold is null in the record. Throws what its steps throw.
Measurement measure_text(const RunOptions& run, const PplOptions& ppl, const std::string& path,
                         const Progress& progress);

}  // namespace quant::tool
