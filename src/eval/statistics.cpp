#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/splitmix64.h"

namespace quant {

double mean(std::span<const double> values) noexcept {
  double sum = 0.0;
  for (const double v : values) sum += v;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

double standard_error(std::span<const double> values) noexcept {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double center = mean(values);
  double squares = 0.0;
  for (const double v : values) squares += (v - center) * (v - center);
  const double n = static_cast<double>(values.size());
  return std::sqrt(squares / n / (n - 1.0));
}

void append_blocks(std::span<const double> run, double weight, std::vector<Block>& blocks,
                   int length) {
  const std::size_t step = static_cast<std::size_t>(length);
  for (std::size_t i = 0; i < run.size(); i += step) {
    const auto part = run.subspan(i, std::min(step, run.size() - i));
    const double sum = std::accumulate(part.begin(), part.end(), 0.0);
    blocks.push_back({weight * sum, weight * static_cast<double>(part.size())});
  }
}

double block_standard_error(std::span<const Block> blocks) {
  constexpr int kResamples = 2000;
  if (blocks.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  SplitMix64 random(0x5eed);
  std::vector<double> means;
  means.reserve(kResamples);
  for (int r = 0; r < kResamples; ++r) {
    Block total{0.0, 0.0};
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const Block& drawn = blocks[random.below(blocks.size())];
      total.sum += drawn.sum;
      total.weight += drawn.weight;
    }
    means.push_back(total.sum / total.weight);
  }
  const double center = mean(means);
  double squares = 0.0;
  for (const double m : means) squares += (m - center) * (m - center);
  return std::sqrt(squares / static_cast<double>(means.size() - 1));
}

double quantile(std::span<const double> ascending, double share) noexcept {
  if (ascending.empty()) return 0.0;
  const double rank = share * static_cast<double>(ascending.size() - 1);
  const std::size_t below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  const double part = rank - static_cast<double>(below);
  return ascending[below] + part * (ascending[above] - ascending[below]);
}

}  // namespace quant
