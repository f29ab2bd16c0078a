#include "quant/version.h"

namespace quant {

std::string_view version() noexcept { return QUANT_VERSION; }

std::string_view compiler() noexcept {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

}  // namespace quant
