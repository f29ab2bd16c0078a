#include "base/caches.h"

#include <unistd.h>

namespace quant {

std::size_t l1_data_bytes() noexcept {
#ifdef _SC_LEVEL1_DCACHE_SIZE
  const long bytes = ::sysconf(_SC_LEVEL1_DCACHE_SIZE);
  if (bytes > 0) return static_cast<std::size_t>(bytes);
#endif
  return 0;
}

}  // namespace quant
