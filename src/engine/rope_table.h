// Cosines and sines of rotary position embedding, grown as the context grows.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/model.h"

namespace quant {

/// Angles of one RopeConfig. context is the session's: with LongRoPE it decides, once, between the
/// long and the short factors, because cached keys keep the rotation they were written with.
class RopeTable {
 public:
  RopeTable(const RopeConfig& config, std::int64_t context);

  /// Makes the rows of positions [0, positions) available.
  void reserve(std::int64_t positions);
  /// [n_rot / 2] each.
  const float* cos(std::int64_t position) const noexcept { return cos_.data() + position * half_; }
  const float* sin(std::int64_t position) const noexcept { return sin_.data() + position * half_; }
  int n_rot() const noexcept { return 2 * half_; }
  RopeStyle style() const noexcept { return style_; }

 private:
  RopeStyle style_;
  int half_;
  double magnitude_;                 // multiplies cos and sin
  std::vector<double> frequencies_;  // [n_rot / 2], radians a position
  std::vector<float> cos_;           // [positions][n_rot / 2]
  std::vector<float> sin_;
};

/// Whether a session of this context uses LongRoPE's long factors.
bool uses_long_factors(const RopeConfig& config, std::int64_t context) noexcept;

}  // namespace quant
