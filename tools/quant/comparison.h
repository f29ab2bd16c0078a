// Several configurations on several texts: what compare prints and what check repeats.
#pragma once

#include <string>
#include <vector>

#include "measure.h"
#include "quant/compare.h"

namespace quant::tool {

struct ComparisonMeasurement {
  std::vector<KvSpec> specs;            ///< the baseline, FP32, first
  std::vector<LockstepResult> results;  ///< a text each
  /// {baseline, rows} over all texts; with several, `texts` has the same of each and `macro` their
  /// averages.
  Json record;
};

/// Says on stderr what is left out of the texts and where there are too few blocks.
ComparisonMeasurement measure_comparison(const RunOptions& run, const PplOptions& ppl,
                                         const CompareArguments& compare);

/// Tables for the terminal.
std::string comparison_report(const Json& record);
/// Loss, difference and divergence at each position and in bins of half an octave.
std::string positions_csv(const ComparisonMeasurement& measurement);
/// The divergences by position as a line of blocks a configuration.
std::string sparklines(const ComparisonMeasurement& measurement);

}  // namespace quant::tool
