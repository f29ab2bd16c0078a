#include "engine/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace quant {
namespace {

/// Coordinates that turn more often than the first in the original context keep their frequency,
/// those that turn less often than the second are interpolated: the paper's beta and alpha.
constexpr double kYarnBetaFast = 32.0;
constexpr double kYarnBetaSlow = 1.0;

/// YaRN's ramp (arXiv 2309.00071, section 3.2): 1 for coordinates that keep their frequency, 0 for
/// those that are interpolated. A coordinate's place is how many turns it makes in the original
/// context, between these two.
class YarnRamp {
 public:
  explicit YarnRamp(const RopeConfig& config)
      : low_(std::max(0.0, std::floor(pair_of_turns(config, kYarnBetaFast)))),
        high_(std::min(config.n_rot - 1.0, std::ceil(pair_of_turns(config, kYarnBetaSlow)))) {}

  double operator()(int pair) const noexcept {
    const double place = (pair - low_) / std::max(0.001, high_ - low_);
    return 1.0 - std::clamp(place, 0.0, 1.0);
  }

 private:
  static double pair_of_turns(const RopeConfig& config, double turns) {
    return config.n_rot * std::log(config.original_context / (turns * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(config.base));
  }

  double low_;
  double high_;
};

/// Interpolated positions make softer attention; YaRN's section 3.4 sharpens it again.
double magnitude(const RopeConfig& config) {
  const bool sharpen = config.scaling == RopeScaling::kYarn && config.factor > 1.0;
  return config.attention_factor * (sharpen ? 1.0 + 0.1 * std::log(config.factor) : 1.0);
}

}  // namespace

bool uses_long_factors(const RopeConfig& config, std::int64_t context) noexcept {
  return config.scaling == RopeScaling::kLongRope && context > config.original_context;
}

RopeTable::RopeTable(const RopeConfig& config, std::int64_t context)
    : style_(config.style), half_(config.n_rot / 2), magnitude_(magnitude(config)) {
  const std::vector<float>& divisors = config.scaling != RopeScaling::kLongRope
                                           ? config.freq_factors
                                       : uses_long_factors(config, context) ? config.long_factors
                                                                            : config.short_factors;
  const YarnRamp ramp(config);
  frequencies_.resize(static_cast<std::size_t>(half_));
  for (int i = 0; i < half_; ++i) {
    double frequency = std::pow(config.base, -2.0 * i / config.n_rot);
    if (!divisors.empty()) frequency /= static_cast<double>(divisors[static_cast<std::size_t>(i)]);
    const double keep = config.scaling == RopeScaling::kYarn ? ramp(i) : 0.0;
    frequency *= keep + (1.0 - keep) / config.factor;
    frequencies_[static_cast<std::size_t>(i)] = frequency;
  }
}

void RopeTable::reserve(std::int64_t positions) {
  const std::size_t half = static_cast<std::size_t>(half_);
  const std::size_t have = half > 0 ? cos_.size() / half : 0;
  const std::size_t wanted = static_cast<std::size_t>(positions);
  if (wanted <= have) return;
  cos_.resize(wanted * half);
  sin_.resize(wanted * half);
  for (std::size_t p = have; p < wanted; ++p) {
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * frequencies_[i];
      cos_[p * half + i] = static_cast<float>(std::cos(angle) * magnitude_);
      sin_[p * half + i] = static_cast<float>(std::sin(angle) * magnitude_);
    }
  }
}

}  // namespace quant
