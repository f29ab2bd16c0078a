// The direction of the dependencies, as docs/architecture.md states it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "support/paths.h"

namespace quant::test {
namespace {

namespace fs = std::filesystem;
using Folders = std::set<std::string>;

/// What the folders of src/ are built upon; a folder may also include what those are built upon.
const std::map<std::string, Folders> kBuiltUpon = {
    {"eval", {"engine", "kv", "text"}},
    {"engine", {"model", "kv", "kernels", "formats"}},
    {"kv", {"kernels", "formats", "base"}},
    {"model", {"gguf", "text", "kernels", "base"}},
    {"text", {"gguf", "base"}},
    {"gguf", {"base"}},
    {"kernels", {"formats", "simd", "base"}},
    {"formats", {"simd", "base", "gguf"}},  // gguf for TensorType, the name of a weight format
    {"simd", {"base"}},
    {"base", {}},
};

bool reaches(const std::string& from, const std::string& to) {
  if (from == to) return true;
  const auto direct = kBuiltUpon.find(from);
  if (direct == kBuiltUpon.end()) return false;
  return std::any_of(direct->second.begin(), direct->second.end(),
                     [&](const std::string& next) { return reaches(next, to); });
}

/// What is wrong with an include line's target in a file, both as paths from their roots.
std::optional<std::string> complaint(const fs::path& file, const std::string& target, bool quoted) {
  const std::string root = file.begin()->string();
  const std::string folder = target.substr(0, target.find('/'));
  if (!quoted) {
    if (root != "tools" && Folders{"CLI", "spdlog", "nlohmann"}.contains(folder)) {
      return "belongs in tools/ alone";
    }
    if (target == "omp.h" && file != "src/base/parallel.cpp") return "belongs in base/parallel.cpp";
    return std::nullopt;
  }
  if (folder == "quant") return std::nullopt;
  if (root == "include") return "public headers include public headers alone";
  if (root == "tools") {
    if (target.find('/') == std::string::npos) return std::nullopt;  // its own
    return "tools include quant/ alone";
  }
  if (!kBuiltUpon.contains(folder)) return "is not a path from src/ or include/";
  if (!reaches(std::next(file.begin())->string(), folder)) return "points against the direction";
  return std::nullopt;
}

TEST(Includes, FollowTheDirectionOfTheArchitecture) {
  const std::regex pattern(R"re(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)re");
  int checked = 0;
  for (const char* root : {"src", "include", "tools"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(source_dir() / root)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      const fs::path file = fs::relative(entry.path(), source_dir());
      std::ifstream text(entry.path());
      for (std::string line; std::getline(text, line);) {
        std::smatch match;
        if (!std::regex_match(line, match, pattern)) continue;
        ++checked;
        const auto wrong = complaint(file, match[2], match[1] == "\"");
        if (wrong) ADD_FAILURE() << file.string() << ": " << match[2] << " " << *wrong;
      }
    }
  }
  EXPECT_GT(checked, 300);
}

TEST(Includes, WrongDirectionsAreFound) {
  EXPECT_TRUE(complaint("src/formats/kv/plain.h", "kernels/kernels.h", true));
  EXPECT_TRUE(complaint("src/base/cpu.cpp", "gguf/gguf.h", true));
  EXPECT_TRUE(complaint("src/model/binder.cpp", "engine/linear.h", true));
  EXPECT_TRUE(complaint("src/kv/cache.cpp", "cache.h", true));
  EXPECT_TRUE(complaint("tools/quant/ppl.cpp", "eval/statistics.h", true));
  EXPECT_TRUE(complaint("include/quant/model.h", "gguf/gguf.h", true));
  EXPECT_TRUE(complaint("src/eval/plan.cpp", "spdlog/spdlog.h", false));
  EXPECT_TRUE(complaint("src/engine/linear.cpp", "omp.h", false));
  EXPECT_FALSE(complaint("src/engine/linear.cpp", "base/parallel.h", true));
  EXPECT_FALSE(complaint("src/eval/plan.cpp", "model/weights.h", true));
  EXPECT_FALSE(complaint("tools/quant/ppl.cpp", "console.h", true));
  EXPECT_FALSE(complaint("tools/quant/main.cpp", "CLI/CLI.hpp", false));
}

}  // namespace
}  // namespace quant::test
