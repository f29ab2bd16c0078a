#include "quant/version.h"

#include "base/source_sha256.h"  // made by cmake/source_sha256.cmake

namespace quant {

std::string_view version() noexcept { return QUANT_VERSION; }

std::string_view source_sha256() noexcept { return kSourceSha256; }

std::string_view compiler() noexcept {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

}  // namespace quant
