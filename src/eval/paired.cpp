#include "quant/paired.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/splitmix64.h"
#include "eval/statistics.h"

namespace quant {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
/// Quantiles of the normal distribution, for sample sizes.
constexpr double kZ975 = 1.959963984540054;
constexpr double kZ95 = 1.6448536269514722;
constexpr double kZ80 = 0.8416212335729143;
constexpr double kLevel = 0.05;
/// Relative error of a mean's sums.
constexpr double kRounding = 1e-12;

std::vector<Block> blocks_of(std::span<const PairedRun> runs, int length) {
  std::vector<Block> blocks;
  for (const PairedRun& run : runs) append_blocks(run.delta, run.weight, blocks, length);
  return blocks;
}

/// Sums over drawn blocks that give the weighted mean and its standard error (the linearization of
/// a ratio estimator, since blocks differ in weight).
class Sample {
 public:
  void add(const Block& block) noexcept {
    ++n_;
    sum_ += block.sum;
    weight_ += block.weight;
    sum_sum_ += block.sum * block.sum;
    sum_weight_ += block.sum * block.weight;
    weight_weight_ += block.weight * block.weight;
  }
  double mean() const noexcept { return sum_ / weight_; }
  double standard_error() const noexcept {
    const double m = mean();
    const double squares = sum_sum_ - m * (2.0 * sum_weight_ - m * weight_weight_);
    return std::sqrt(std::max(0.0, squares) * n_ / (n_ - 1.0)) / weight_;
  }

 private:
  double n_ = 0.0;
  double sum_ = 0.0;
  double weight_ = 0.0;
  double sum_sum_ = 0.0;
  double sum_weight_ = 0.0;
  double weight_weight_ = 0.0;
};

/// (mean* - mean) / error* of the resamples, ascending.
std::vector<double> studentized_means(std::span<const Block> blocks, double mean,
                                      const PairedOptions& options) {
  SplitMix64 random(options.seed);
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(options.resamples));
  for (int r = 0; r < options.resamples; ++r) {
    Sample sample;
    for (std::size_t i = 0; i < blocks.size(); ++i) sample.add(blocks[random.below(blocks.size())]);
    const double difference = sample.mean() - mean;
    // Equal differences differ by rounding alone. Otherwise a sample without spread, one block
    // every time, is as far off as can be.
    const bool equal = std::abs(difference) <= kRounding * std::abs(mean);
    values.push_back(equal ? 0.0 : difference / sample.standard_error());
  }
  std::ranges::sort(values);
  return values;
}

Interval bootstrap_interval(const PairedResult& result, std::span<const double> studentized,
                            double tail) {
  const double rank = tail * static_cast<double>(studentized.size() + 1) - 1.0;
  const std::size_t at = static_cast<std::size_t>(std::max(0.0, std::round(rank)));
  const double upper = studentized[studentized.size() - 1 - at];
  return {result.delta_nll - upper * result.standard_error,
          result.delta_nll - studentized[at] * result.standard_error};
}

/// Whether a sum under flipped signs is as extreme as the observed one, up to rounding.
bool as_extreme(double sum, double observed) noexcept {
  return std::abs(sum) >= std::abs(observed) * (1.0 - kRounding);
}

double sign_flip_p(std::span<const Block> blocks, const PairedOptions& options) {
  const std::size_t n = blocks.size();
  double observed = 0.0;
  for (const Block& block : blocks) observed += block.sum;
  const auto flipped_sum = [&](auto&& next_bits) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n; i += 64) {
      std::uint64_t bits = next_bits();
      for (std::size_t j = i; j < std::min(n, i + 64); ++j, bits >>= 1) {
        sum += (bits & 1) != 0 ? -blocks[j].sum : blocks[j].sum;
      }
    }
    return sum;
  };
  std::int64_t extreme = 0;
  if (n < 63 && (std::uint64_t{1} << n) <= static_cast<std::uint64_t>(options.flips) + 1) {
    const std::uint64_t patterns = std::uint64_t{1} << n;
    for (std::uint64_t pattern = 0; pattern < patterns; ++pattern) {
      extreme += as_extreme(flipped_sum([=] { return pattern; }), observed) ? 1 : 0;
    }
    return static_cast<double>(extreme) / static_cast<double>(patterns);
  }
  SplitMix64 random(options.seed + 1);
  for (int i = 0; i < options.flips; ++i) {
    extreme += as_extreme(flipped_sum([&] { return random.next(); }), observed) ? 1 : 0;
  }
  return static_cast<double>(extreme + 1) / static_cast<double>(options.flips + 1);
}

double worse_share(std::span<const PairedRun> runs) {
  double worse = 0.0;
  double all = 0.0;
  for (const PairedRun& run : runs) {
    const auto n = std::ranges::count_if(run.delta, [](double d) { return d > 0.0; });
    worse += run.weight * static_cast<double>(n);
    all += run.weight * static_cast<double>(run.delta.size());
  }
  return all > 0.0 ? worse / all : 0.0;
}

/// Tokens at which a gap between the estimate and a bound would be significant (`z_level`) with a
/// power of 80 %: the error shrinks with the square root of the tokens.
double tokens_for(const PairedResult& result, double gap, double z_level) {
  if (gap <= 0.0) return std::numeric_limits<double>::infinity();
  const double ratio = (z_level + kZ80) * result.standard_error / gap;
  return static_cast<double>(result.tokens) * ratio * ratio;
}

}  // namespace

PairedResult compare_paired(std::span<const PairedRun> runs, const PairedOptions& options) {
  PairedResult result{0, 0, 0.0, kNaN, {kNaN, kNaN}, {kNaN, kNaN}, 1.0, worse_share(runs)};
  for (const PairedRun& run : runs) result.tokens += static_cast<std::int64_t>(run.delta.size());
  const std::vector<Block> blocks = blocks_of(runs, options.block_tokens);
  result.blocks = static_cast<std::int64_t>(blocks.size());
  if (blocks.empty()) return result;
  Sample all;
  for (const Block& block : blocks) all.add(block);
  result.delta_nll = all.mean();
  result.p_value = sign_flip_p(blocks, options);
  if (blocks.size() > 1) result.standard_error = all.standard_error();
  if (result.blocks >= kLeastBlocks) {
    const std::vector<double> values = studentized_means(blocks, result.delta_nll, options);
    result.interval = bootstrap_interval(result, values, kLevel / 2.0);
    result.narrow_interval = bootstrap_interval(result, values, kLevel);
  }
  return result;
}

std::vector<double> holm_adjusted(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double running = 0.0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const double factor = static_cast<double>(order.size() - rank);
    running = std::max(running, std::min(1.0, factor * p_values[order[rank]]));
    adjusted[order[rank]] = running;
  }
  return adjusted;
}

std::string_view verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kBetter:
      return "better";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kEquivalent:
      return "equivalent";
    default:
      return "unresolved";
  }
}

Judgement judge(const PairedResult& result, double adjusted_p, double margin_percent) {
  const double margin = std::log1p(margin_percent / 100.0);
  if (result.narrow_interval.low > -margin && result.narrow_interval.high < margin) {
    return {Verdict::kEquivalent, 0};
  }
  if (adjusted_p < kLevel && result.interval.low > 0.0) return {Verdict::kWorse, 0};
  if (adjusted_p < kLevel && result.interval.high < 0.0) return {Verdict::kBetter, 0};
  const double size = std::abs(result.delta_nll);
  const double needed =
      std::min(tokens_for(result, size, kZ975), tokens_for(result, margin - size, kZ95));
  if (!std::isfinite(needed) || needed > 1e18) return {Verdict::kUnresolved, 0};
  // Whole blocks, and more of them than were not enough.
  const double blocks = std::max(std::ceil(needed / static_cast<double>(kBlockTokens)),
                                 static_cast<double>(result.blocks + 1));
  return {Verdict::kUnresolved, static_cast<std::int64_t>(blocks) * kBlockTokens};
}

}  // namespace quant
