// A measurement against an earlier one.
#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "record.h"

namespace quant::tool {

/// One configuration of the baseline, measured again.
struct CheckedRow {
  std::string name;
  bool passed;
  std::string message;  ///< what was found, and why it failed
  Json record;          ///< the same for scripts
};

/// How far a measurement may be from its baseline.
enum class Tolerance { kExact, kRelative, kInterval };
/// Throws Error(kUsage).
Tolerance parse_tolerance(const std::string& name);

/// Compares two records of one configuration; intervals need losses in both. run_lengths: scored
/// tokens of each window.
CheckedRow check_row(const Json& before, const Json& now,
                     const std::vector<std::int64_t>& run_lengths, const CheckArguments& check);

std::string check_table(const std::vector<CheckedRow>& rows);
std::string junit_xml(const std::string& baseline, const std::vector<CheckedRow>& rows);
std::string github_summary(const std::string& baseline, const std::vector<CheckedRow>& rows);

}  // namespace quant::tool
