// query_view against the rule of docs/kv-formats.md, position by position.
#include <gtest/gtest.h>

#include "kv/cache.h"

namespace quant::test {
namespace {

enum class Seen { kNot, kExact, kCodes };

/// The rule as it is written down.
Seen by_rule(const KvSide& side, int sliding_window, std::int64_t i, std::int64_t t) {
  if (i > t) return Seen::kNot;
  if (sliding_window > 0 && t - i >= sliding_window) return Seen::kNot;
  // FP32 codes are the exact rows, so no second copy of them is ever looked at.
  if (side.type == KvType::kFp32) return Seen::kCodes;
  if (i < side.sink || t - i < side.window) return Seen::kExact;
  return Seen::kCodes;
}

Seen by_view(const QueryView& view, std::int64_t i) {
  const auto in = [i](const PositionRange& range) { return range.begin <= i && i < range.end; };
  const int found = int{in(view.sink)} + int{in(view.packed)} + int{in(view.window)};
  EXPECT_LE(found, 1) << "position " << i << " is in several ranges";
  if (in(view.sink) || in(view.window)) return Seen::kExact;
  return in(view.packed) ? Seen::kCodes : Seen::kNot;
}

TEST(QueryView, FollowsTheRuleForEveryPosition) {
  for (const KvType type : {KvType::kFp32, KvType::kFp16, KvType::kTurboKv2b}) {
    for (const int window : {0, 1, 2, 3, 7, 16, 40, 1000}) {
      for (const int sink : {0, 1, 4, 9, 1000}) {
        for (const int sliding : {0, 1, 2, 8, 16, 33}) {
          const KvSide side{type, window, sink};
          for (std::int64_t t = 0; t < 50; ++t) {
            const QueryView view = query_view(side, sliding, t);
            for (std::int64_t i = 0; i < 55; ++i) {
              ASSERT_EQ(by_view(view, i), by_rule(side, sliding, i, t))
                  << "W " << window << ", S " << sink << ", n " << sliding << ", t " << t << ", i "
                  << i;
            }
          }
        }
      }
    }
  }
}

TEST(QueryView, RangesAscendWithoutGaps) {
  for (const std::int64_t t : {0, 5, 100, 100000}) {
    for (const int sliding : {0, 32}) {
      const QueryView view = query_view({KvType::kFp16, 16, 4}, sliding, t);
      EXPECT_LE(view.sink.begin, view.sink.end);
      EXPECT_EQ(view.sink.end, view.packed.begin);
      EXPECT_LE(view.packed.begin, view.packed.end);
      EXPECT_EQ(view.packed.end, view.window.begin);
      EXPECT_EQ(view.window.end, t + 1);
    }
  }
}

TEST(QueryView, HugeWindowsAndSinksDoNotOverflow) {
  constexpr int kHuge = 2147483647;
  const QueryView window = query_view({KvType::kFp16, kHuge, 0}, 0, 10);
  EXPECT_EQ(window.window.begin, 0);
  EXPECT_EQ(window.window.end, 11);
  const QueryView sink = query_view({KvType::kFp16, 0, kHuge}, kHuge, 10);
  EXPECT_EQ(sink.sink.begin, 0);
  EXPECT_EQ(sink.sink.end, 11);
}

}  // namespace
}  // namespace quant::test
