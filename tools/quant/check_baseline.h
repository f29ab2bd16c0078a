// What a baseline was measured with, and whether it can be believed.
#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "record.h"

namespace quant::tool {

/// What has to be run to repeat a baseline.
struct Repetition {
  RunOptions run;
  PplOptions ppl;
  CompareArguments compare;
  bool comparison = false;
  std::string model_sha256;
  std::vector<std::string> text_sha256;    ///< [text]
  std::vector<std::string> tokens_sha256;  ///< [text]
};

/// Throws Error(kUsage) naming the part of the baseline that nothing can be repeated from.
Repetition repetition_of(const Json& baseline, const RunOptions& run, const CheckArguments& check);

/// All configurations of a record, the baseline of a comparison first.
std::vector<Json> rows_of(const Json& record);

/// Throws Error(kUsage) for a baseline that was changed by hand, damaged, or mixed from several.
void require_consistent(const Json& baseline, const std::string& file);

}  // namespace quant::tool
