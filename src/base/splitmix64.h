// A small seeded random stream, the same on every machine.
#pragma once

#include <cstdint>

namespace quant {

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a seeded stream that is the same everywhere.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept;
  /// Uniform in [0, n), n >= 1, without bias (Lemire, arXiv 1805.10941).
  std::uint64_t below(std::uint64_t n) noexcept;
  /// Uniform in [0, 1).
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// Continues the stream when given to a new SplitMix64.
  std::uint64_t state() const noexcept { return state_; }

 private:
  std::uint64_t state_;
};

}  // namespace quant
