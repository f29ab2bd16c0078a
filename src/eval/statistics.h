// Statistics of per-token losses.
#pragma once

#include <cstdint>
#include <span>

namespace quant {

double mean(std::span<const double> values) noexcept;
/// Standard error of the mean of independent values: sqrt(var / (n - 1)), var with divisor n, as
/// llama.cpp prints it; NaN for fewer than two values.
double standard_error(std::span<const double> values) noexcept;
/// Tokens of a text are not independent: standard error of the mean by a bootstrap that draws whole
/// blocks of 64 consecutive values (Künsch 1989). NaN for fewer than two blocks.
double block_standard_error(std::span<const double> values);

/// The share-quantile of sorted values, linear between ranks (share of 0 is the first, 1 the last).
/// At least one value.
double percentile(std::span<const double> sorted, double share) noexcept;

inline constexpr std::size_t kLossBlock = 64;

}  // namespace quant
