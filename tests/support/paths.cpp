#include "support/paths.h"

#include <cstdlib>

namespace quant::test {

std::filesystem::path models_dir() {
  if (const char* dir = std::getenv("QUANT_MODELS")) return dir;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return std::filesystem::path(cache) / "quant" / "models";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : "/root") / ".cache" / "quant" / "models";
}

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "quant-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace quant::test
