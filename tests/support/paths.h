// Where tests find what they read.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace quant::test {

inline std::filesystem::path source_dir() { return QUANT_SOURCE_DIR; }
inline std::filesystem::path data_dir() { return source_dir() / "tests" / "data"; }
/// Reference material beside the project; absent in a plain clone.
inline std::filesystem::path shared_dir() { return source_dir() / ".." / "shared"; }
/// Real models, brought by tools/test.sh: $QUANT_MODELS, else the cache that quickstart.sh fills.
std::filesystem::path models_dir();
/// The quant command of this build.
inline std::filesystem::path quant_binary() {
  return std::filesystem::path(QUANT_BUILD_DIR) / "quant";
}
/// A fresh directory that is removed when the object dies.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace quant::test

/// Skips the test with a clear word if a file or directory that is not part of the project is
/// absent.
#define QUANT_REQUIRE_PATH(needed)                          \
  if (const std::filesystem::path required_path = (needed); \
      !std::filesystem::exists(required_path))              \
  GTEST_SKIP() << "needs " << required_path.string() << ", which is not here"
