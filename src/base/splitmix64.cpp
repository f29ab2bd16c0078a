#include "base/splitmix64.h"

namespace quant {

std::uint64_t SplitMix64::next() noexcept {
  state_ += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::uint64_t SplitMix64::below(std::uint64_t n) noexcept {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(next()) * n;
  const std::uint64_t biased = (0 - n) % n;
  while (static_cast<std::uint64_t>(product) < biased) product = static_cast<Wide>(next()) * n;
  return static_cast<std::uint64_t>(product >> 64);
}

}  // namespace quant
