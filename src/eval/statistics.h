// Statistics of per-token losses.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/paired.h"

namespace quant {

double mean(std::span<const double> values) noexcept;
/// Standard error of the mean of independent values: sqrt(var / (n - 1)), var with divisor n, as
/// llama.cpp prints it; NaN for fewer than two values.
double standard_error(std::span<const double> values) noexcept;

/// Consecutive tokens that are drawn, or change their sign, together.
struct Block {
  double sum;     ///< of weight · value
  double weight;  ///< of its tokens
};
/// Cuts a run, the scored tokens of one context, into blocks of up to `length` tokens of the given
/// weight and appends them. Callers cut each run apart: blocks never reach into another context.
void append_blocks(std::span<const double> run, double weight, std::vector<Block>& blocks,
                   int length = kBlockTokens);
/// Tokens of a text are not independent: standard error of the mean by a bootstrap that draws whole
/// blocks (Künsch 1989). NaN for fewer than two.
double block_standard_error(std::span<const Block> blocks);

/// Quantile of ascending values, linear between neighbours (type 7 of Hyndman and Fan, NumPy's
/// default); 0 for no values.
double quantile(std::span<const double> ascending, double share) noexcept;

}  // namespace quant
