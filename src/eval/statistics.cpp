#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

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

double block_standard_error(std::span<const double> values) {
  constexpr int kResamples = 2000;
  struct Block {
    double sum;
    double count;
  };
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < values.size(); i += kLossBlock) {
    const std::span<const double> part = values.subspan(i, std::min(kLossBlock, values.size() - i));
    const double count = static_cast<double>(part.size());
    blocks.push_back({mean(part) * count, count});
  }
  if (blocks.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  SplitMix64 random(0x5eed);
  std::vector<double> means;
  means.reserve(kResamples);
  for (int r = 0; r < kResamples; ++r) {
    Block total{0.0, 0.0};
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const Block& drawn = blocks[random.below(blocks.size())];
      total.sum += drawn.sum;
      total.count += drawn.count;
    }
    means.push_back(total.sum / total.count);
  }
  const double center = mean(means);
  double squares = 0.0;
  for (const double m : means) squares += (m - center) * (m - center);
  return std::sqrt(squares / static_cast<double>(means.size() - 1));
}

double percentile(std::span<const double> sorted, double share) noexcept {
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const std::size_t below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = rank - static_cast<double>(below);
  return (1.0 - part) * sorted[below] + part * sorted[above];
}

}  // namespace quant
