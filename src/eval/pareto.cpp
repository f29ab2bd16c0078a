#include "quant/pareto.h"

#include <algorithm>
#include <cmath>

namespace quant {
namespace {

bool finite(const CostPoint& p) { return std::isfinite(p.memory) && std::isfinite(p.loss); }

bool dominates(const CostPoint& a, const CostPoint& b) {
  return finite(a) && a.memory <= b.memory && a.loss <= b.loss &&
         (a.memory < b.memory || a.loss < b.loss);
}

}  // namespace

std::vector<bool> pareto_front(std::span<const CostPoint> points) {
  std::vector<bool> front;
  front.reserve(points.size());
  for (const CostPoint& p : points) {
    front.push_back(finite(p) && std::ranges::none_of(
                                     points, [&](const CostPoint& q) { return dominates(q, p); }));
  }
  return front;
}

}  // namespace quant
