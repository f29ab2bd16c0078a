// The points of a report's picture: a row each.
#pragma once

#include <string>
#include <vector>

#include "record.h"

namespace quant::tool {

/// Costs beyond this are not told apart: an axis that showed them would show nothing else.
inline constexpr double kMostPercent = 1000.0;
inline constexpr double kMiB = 1024.0 * 1024.0;

struct ReportPoint {
  std::string name;    ///< short
  std::string detail;  ///< what a reader sees who points at it
  std::string colour;  ///< one for each type of keys
  bool front;          ///< on the Pareto front
  double bytes, percent;
  double low, high;  ///< of the interval in percent; equal without one
};

/// In the order of a group's rows.
std::vector<ReportPoint> points_of(const Json& group);

}  // namespace quant::tool
