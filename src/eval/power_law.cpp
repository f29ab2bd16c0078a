#include "quant/power_law.h"

#include <algorithm>
#include <cmath>

namespace quant {
namespace {

constexpr int kFewestPoints = 3;

/// Weighted moments of (ln x, ln y).
struct Moments {
  double weight = 0.0;
  double mean_x = 0.0;
  double mean_y = 0.0;
  double xx = 0.0;
  double xy = 0.0;
  double yy = 0.0;
  int points = 0;
};

bool counts(const CurvePoint& p) noexcept { return p.x > 0.0 && p.y > 0.0 && p.weight > 0.0; }

/// Two passes, so that nothing is lost when the deviations are small.
Moments moments_of(std::span<const CurvePoint> points) {
  Moments m;
  for (const CurvePoint& p : points) {
    if (!counts(p)) continue;
    ++m.points;
    m.weight += p.weight;
    m.mean_x += p.weight * std::log(p.x);
    m.mean_y += p.weight * std::log(p.y);
  }
  if (m.points == 0) return m;
  m.mean_x /= m.weight;
  m.mean_y /= m.weight;
  for (const CurvePoint& p : points) {
    if (!counts(p)) continue;
    const double x = std::log(p.x) - m.mean_x;
    const double y = std::log(p.y) - m.mean_y;
    m.xx += p.weight * x * x;
    m.xy += p.weight * x * y;
    m.yy += p.weight * y * y;
  }
  return m;
}

}  // namespace

std::optional<PowerLaw> fit_power_law(std::span<const CurvePoint> points) {
  const Moments m = moments_of(points);
  if (m.points < kFewestPoints || !(m.xx > 0.0)) return std::nullopt;
  PowerLaw fit{};
  fit.exponent = m.xy / m.xx;
  fit.scale = std::exp(m.mean_y - fit.exponent * m.mean_x);
  const double residual = std::max(0.0, m.yy - fit.exponent * m.xy);
  fit.rms_log = std::sqrt(residual / m.weight);
  fit.r_squared = m.yy > 0.0 ? 1.0 - residual / m.yy : 1.0;
  fit.points = m.points;
  return fit;
}

}  // namespace quant
