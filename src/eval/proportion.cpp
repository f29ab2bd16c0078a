#include "quant/proportion.h"

#include <algorithm>
#include <cmath>

namespace quant {
namespace {

constexpr double kZ975 = 1.959963984540054;

}  // namespace

Interval wilson_interval(std::int64_t successes, std::int64_t trials) noexcept {
  if (trials <= 0) return {0.0, 1.0};
  const double n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n;
  const double z_squares = kZ975 * kZ975;
  const double center = share + z_squares / (2.0 * n);
  const double half = kZ975 * std::sqrt((share * (1.0 - share) + z_squares / (4.0 * n)) / n);
  const double scale = 1.0 + z_squares / n;
  // At the ends the exact bound is 0 or 1, which rounding misses.
  return {successes == 0 ? 0.0 : (center - half) / scale,
          successes == trials ? 1.0 : (center + half) / scale};
}

double mcnemar_exact_p(std::int64_t lost, std::int64_t gained) noexcept {
  const double n = static_cast<double>(lost + gained);
  double tail = 0.0;
  for (std::int64_t i = 0; i <= std::min(lost, gained); ++i) {
    const double k = static_cast<double>(i);
    tail += std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) -
                     n * std::log(2.0));
  }
  return std::min(1.0, 2.0 * tail);
}

}  // namespace quant
