// quant compare: KV formats side by side.
#include "commands.h"
#include "comparison.h"
#include "files.h"

namespace quant::tool {

void run_compare(const RunOptions& run, const PplOptions& ppl, const CompareArguments& compare) {
  if (!compare.positions.empty()) check_writable(compare.positions);
  const ComparisonMeasurement measurement = measure_comparison(run, ppl, compare);
  std::string report;
  if (!compare.positions.empty()) {
    write_file(compare.positions, positions_csv(measurement));
    report = sparklines(measurement);
  }
  emit(run,
       run.json ? to_text(measurement.record) : comparison_report(measurement.record) + report);
}

}  // namespace quant::tool
