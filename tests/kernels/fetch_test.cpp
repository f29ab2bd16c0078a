#include "simd/fetch.h"

#include <gtest/gtest.h>

#include <set>

namespace quant::test {
namespace {

constexpr std::size_t kLine = 64;

/// Lines that were asked for, by locality.
struct Recorder {
  static inline std::multiset<std::uintptr_t> asked[4];

  template <int Locality>
  static void ask(std::uintptr_t line) {
    asked[Locality].insert(line);
  }
  static void clear() {
    for (auto& lines : asked) lines.clear();
  }
};

std::size_t lines_of(const MemoryPiece& piece) { return (piece.bytes + kLine - 1) / kLine; }

/// Lines of the piece that were not asked for exactly once.
std::size_t not_once(const MemoryPiece& piece, int locality) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < lines_of(piece); ++i) {
    n += Recorder::asked[locality].count(piece.from + i * kLine) != 1;
  }
  return n;
}

TEST(FetchStepsTest, AskForEverythingWithinTheSteps) {
  for (const FetchTo to : {FetchTo::kL1, FetchTo::kL2}) {
    const int locality = to == FetchTo::kL1 ? 3 : 2;
    for (const std::size_t bytes : {0, 1, 64, 8704, 32768}) {
      for (const std::size_t later : {0, 64, 2048}) {
        for (const std::size_t steps : {2, 3, 20, 64, 512, 1000}) {
          const Fetch fetch{{1 << 20, bytes}, {1 << 24, later}, to};
          Recorder::clear();
          FetchStepsWith<Recorder> ahead(fetch, steps);
          for (std::size_t i = 0; i < steps; ++i) ahead.step();
          EXPECT_EQ(not_once(fetch.next, locality), 0u) << bytes << ' ' << later << ' ' << steps;
          EXPECT_EQ(not_once(fetch.later, 2), 0u) << bytes << ' ' << later << ' ' << steps;
          // Of a step's lines, some may lie behind a piece.
          const std::size_t lines = lines_of(fetch.next) + lines_of(fetch.later);
          const std::size_t asked = Recorder::asked[2].size() + Recorder::asked[3].size();
          EXPECT_LE(asked, lines + 2 * (lines / (steps - 1) + 1))
              << bytes << ' ' << later << ' ' << steps;
        }
      }
    }
  }
}

TEST(FetchStepsTest, NoneIsAskedForAfterTheEnd) {
  Recorder::clear();
  FetchStepsWith<Recorder> ahead({{0, 10 * kLine}, {}, FetchTo::kL1}, 0);
  for (int i = 0; i < 5; ++i) ahead.step();
  EXPECT_EQ(Recorder::asked[3].size(), 10u);
}

}  // namespace
}  // namespace quant::test
