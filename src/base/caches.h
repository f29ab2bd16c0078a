// What the operating system says about a core's caches.
#pragma once

#include <cstddef>

namespace quant {

/// Bytes of the L1 data cache, 0 where that is not known.
std::size_t l1_data_bytes() noexcept;

}  // namespace quant
