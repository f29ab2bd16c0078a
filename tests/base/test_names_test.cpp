// Parameters of tests have readable names in lists and in messages of failure.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "support/paths.h"

namespace quant::test {
namespace {

std::string list_of_tests(const std::filesystem::path& program) {
  const auto close = [](std::FILE* pipe) { ::pclose(pipe); };
  const std::unique_ptr<std::FILE, decltype(close)> pipe(
      ::popen((program.string() + " --gtest_list_tests").c_str(), "r"), close);
  std::string list;
  char buffer[4096];
  while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe.get()) != nullptr) {
    list += buffer;
  }
  return list;
}

TEST(TestNames, NoParameterIsPrintedAsBytes) {
#ifdef QUANT_EMULATED
  GTEST_SKIP() << "the same names as on the host";
#endif
  int programs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(QUANT_BUILD_DIR "/tests")) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("quant_") || !name.ends_with("_tests")) continue;
    const std::string list = list_of_tests(entry.path());
    EXPECT_NE(list, "") << name;
    const std::size_t at = list.find("-byte object <");
    EXPECT_EQ(at, std::string::npos) << name << ": " << list.substr(at > 80 ? at - 80 : 0, 120);
    ++programs;
  }
  EXPECT_GE(programs, 1);
}

}  // namespace
}  // namespace quant::test
