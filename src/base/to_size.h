// Signed positions and counts as sizes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quant {

/// n must not be negative.
constexpr std::size_t to_size(std::int64_t n) noexcept { return static_cast<std::size_t>(n); }

}  // namespace quant
