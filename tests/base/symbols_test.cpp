// Objects compiled with ISA flags must not offer the linker code that others share. A weak symbol
// is merged across objects: if an AVX-512 copy of some std template survived, a machine without
// AVX-512 would run it. So every weak symbol of such an object carries its ISA tag in its name.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/paths.h"

namespace quant::test {
namespace {

struct IsaObject {
  std::string_view member;
  std::string_view tag;  // as it appears in mangled names
};
constexpr IsaObject kIsaObjects[] = {{"isa_avx2.cpp.o:", "4Avx2"},
                                     {"isa_avxvnni.cpp.o:", "7AvxVnni"},
                                     {"isa_avx512.cpp.o:", "6Avx512"},
                                     {"isa_amx.cpp.o:", "3Amx"}};

struct Findings {
  int tagged = 0;
  std::vector<std::string> untagged;
};

/// Reads the output of "nm -A": lines of "archive:member:address type name".
Findings weak_symbols(std::istream& listing, const IsaObject& object) {
  Findings found;
  for (std::string line; std::getline(listing, line);) {
    const std::size_t member = line.find(object.member);
    if (member == std::string::npos) continue;
    const std::size_t name = line.find_last_of(' ');
    const char type = line[name - 1];
    if (std::string_view("WwVvu").find(type) == std::string_view::npos) continue;
    // A pointer that every object has alike, and no code.
    if (line.find(" V DW.ref.__gxx_personality_v0") != std::string::npos) continue;
    if (line.find(object.tag, name) != std::string::npos) {
      ++found.tagged;
    } else {
      found.untagged.push_back(line.substr(member));
    }
  }
  return found;
}

#if defined(__x86_64__)
/// What a program writes to its standard output.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  std::array<char, 4096> buffer;
  while (pipe != nullptr && fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) {
    text += buffer.data();
  }
  return text;
}

TEST(Symbols, EveryWeakSymbolOfIsaObjectsHasItsTag) {
  const std::string listing = output_of("nm -A '" QUANT_BUILD_DIR "/libquant_core.a' 2>&1");
  for (const IsaObject& object : kIsaObjects) {
    std::istringstream lines(listing);
    const Findings found = weak_symbols(lines, object);
    EXPECT_GT(found.tagged, 10) << "no such object in:\n" << listing.substr(0, 1000);
    for (const std::string& line : found.untagged) ADD_FAILURE() << line;
  }
}
#endif

/// The check itself: what it must catch, and what it must let pass.
TEST(Symbols, UntaggedWeakSymbolsAreFound) {
  std::istringstream listing(
      "lib.a:isa_avx2.cpp.o:0000000000000000 W _ZN5quant8WeightF3INS_4Avx2EE4loadEPKhl\n"
      "lib.a:isa_avx2.cpp.o:0000000000000000 W _ZSt3maxIfERKT_S2_S2_\n"
      "lib.a:isa_avx2.cpp.o:0000000000000000 V _ZTVN5quant9TokenizerE\n"
      "lib.a:isa_avx2.cpp.o:0000000000000000 u _ZN5quant5tableE\n"
      "lib.a:isa_avx2.cpp.o:0000000000000000 V DW.ref.__gxx_personality_v0\n"
      "lib.a:isa_avx2.cpp.o:                 U memcpy\n"
      "lib.a:isa_avx2.cpp.o:0000000000000000 t _ZN5quantL6helperEv\n"
      "lib.a:isa_avx512.cpp.o:0000000000000000 W _ZSt3minIfERKT_S2_S2_\n"
      "lib.a:select.cpp.o:0000000000000000 W _ZSt4swapIfEvRT_S1_\n");
  const Findings found = weak_symbols(listing, kIsaObjects[0]);
  EXPECT_EQ(found.tagged, 1);
  ASSERT_EQ(found.untagged.size(), 3u);
  EXPECT_NE(found.untagged[0].find("_ZSt3max"), std::string::npos);
  EXPECT_NE(found.untagged[1].find("_ZTV"), std::string::npos);
  EXPECT_NE(found.untagged[2].find("5tableE"), std::string::npos);
}

}  // namespace
}  // namespace quant::test
