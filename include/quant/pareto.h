// Which of several compromises between two costs are worth having.
#pragma once

#include <span>
#include <vector>

namespace quant {

/// Lower is better in both; a cost that is not finite is never worth having.
struct CostPoint {
  double memory;
  double loss;
};

/// Whether no other point is at most as costly in both and less costly in one (Pareto efficiency).
std::vector<bool> pareto_front(std::span<const CostPoint> points);

}  // namespace quant
