// A power law fitted on logarithmic axes.
#pragma once

#include <optional>
#include <span>

namespace quant {

/// A point of a curve y(x); only those with positive x, y and weight count.
struct CurvePoint {
  double x;
  double y;
  double weight;
};

/// y = scale · x^exponent.
struct PowerLaw {
  double exponent;
  double scale;
  double rms_log;    ///< weighted root mean square of ln(y / fit)
  double r_squared;  ///< of ln y; 1 where ln y does not vary
  int points;
};

/// Weighted least squares on (ln x, ln y). Nothing for fewer than three points that count, or if
/// they all have the same x.
std::optional<PowerLaw> fit_power_law(std::span<const CurvePoint> points);

}  // namespace quant
