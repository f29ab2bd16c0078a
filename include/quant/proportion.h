// Statistics of things that happen or do not: intervals of a share, and whether two shares of the
// same trials differ.
#pragma once

#include <cstdint>

#include "quant/paired.h"

namespace quant {

/// Wilson's score interval at 95 % (1927; without correction for continuity) of the share of
/// successes. No trials give 0 to 1.
Interval wilson_interval(std::int64_t successes, std::int64_t trials) noexcept;

/// McNemar's exact test (1947): two-sided binomial p of the pairs that changed, `lost` in one
/// direction and `gained` in the other; 1 if none did.
double mcnemar_exact_p(std::int64_t lost, std::int64_t gained) noexcept;

}  // namespace quant
