// Statistics of two configurations that were measured on the same tokens. Differences are per
// token, loss of the configuration minus loss of the baseline, in nats; what they mean is in
// docs/evaluation.md.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace quant {

/// Differences of consecutive tokens, one evaluation window: blocks never reach into the next one.
struct PairedRun {
  std::span<const double> delta;
  double weight = 1.0;  ///< of each token; 1 / tokens of its text gives a macro average
};

/// Tokens that are drawn, or change their sign, together: neighbours are not independent.
inline constexpr int kBlockTokens = 64;

struct PairedOptions {
  int resamples = 3999;  ///< of the bootstrap
  int flips = 9999;      ///< of the permutation test; fewer blocks than log2(flips) are enumerated
  std::uint64_t seed = 0x5eed;
  int block_tokens = kBlockTokens;  ///< most tokens of a block
};

struct Interval {
  double low;
  double high;
};

struct PairedResult {
  std::int64_t tokens;
  std::int64_t blocks;    ///< of up to block_tokens consecutive tokens
  double delta_nll;       ///< weighted mean of the differences
  double standard_error;  ///< from the spread of the blocks; NaN for fewer than two
  /// Studentized block bootstrap (Davison and Hinkley 1997, section 5.2) at 95 and at 90 %; NaN for
  /// fewer than kLeastBlocks.
  Interval interval;
  Interval narrow_interval;
  /// Two-sided, from flipping the signs of whole blocks: all patterns, or random ones where there
  /// are too many (then never below 1 / (flips + 1)).
  double p_value;
  double worse_share;  ///< of the tokens' weight that has a positive difference
};

/// Below this no interval is given, below kFewBlocks it deserves a warning.
inline constexpr std::int64_t kLeastBlocks = 4;
inline constexpr std::int64_t kFewBlocks = 30;

/// Deterministic. No tokens at all give zeros and a p of 1.
PairedResult compare_paired(std::span<const PairedRun> runs, const PairedOptions& options = {});

/// Holm's step-down correction (1979) for a table of tests, in the table's order.
std::vector<double> holm_adjusted(std::span<const double> p_values);

enum class Verdict { kBetter, kWorse, kEquivalent, kUnresolved };
std::string_view verdict_name(Verdict verdict) noexcept;

struct Judgement {
  Verdict verdict;
  /// For kUnresolved: tokens of such text that would resolve it with a power of 80 %, if the
  /// difference and its spread are as estimated; 0 if that cannot be said.
  std::int64_t tokens_to_resolve;
};

/// Equivalent: both one-sided tests at 5 % place the difference within ± ln(1 + margin/100), which
/// is the narrow interval inside the margin (Schuirmann 1987). Otherwise better or worse: the 95 %
/// interval excludes 0 and the adjusted p is below 5 %. Otherwise unresolved.
Judgement judge(const PairedResult& result, double adjusted_p, double margin_percent);

}  // namespace quant
