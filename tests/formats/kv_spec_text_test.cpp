// Configurations as text: "turbo_kv_4b/fp16@k-window=128:sink=4".
#include <gtest/gtest.h>

#include "quant/kv_spec.h"
#include "support/expect_error.h"

namespace quant::test {
namespace {

KvSpec parse(std::string_view text) { return parse_kv_spec(text, {}); }

TEST(KvSpecText, TypesAndOptions) {
  EXPECT_EQ(parse("turbo_kv_4b"), (KvSpec{{KvType::kTurboKv4b, 0, 0}, {KvType::kFp16, 0, 0}}));
  EXPECT_EQ(parse("fp32/q8_0"), (KvSpec{{KvType::kFp32, 0, 0}, {KvType::kQ8_0, 0, 0}}));
  EXPECT_EQ(parse("uniform_2b@k-window=512"),
            (KvSpec{{KvType::kUniform2b, 512, 0}, {KvType::kFp16, 0, 0}}));
  EXPECT_EQ(parse("uniform_2b@v-window=7"),
            (KvSpec{{KvType::kUniform2b, 0, 0}, {KvType::kFp16, 7, 0}}));
  EXPECT_EQ(parse("q8_0/q8_0@window=128:sink=4"),
            (KvSpec{{KvType::kQ8_0, 128, 4}, {KvType::kQ8_0, 128, 4}}));
  // What is said of one side wins, in whatever order.
  EXPECT_EQ(parse("q8_0@k-window=1:window=2"),
            (KvSpec{{KvType::kQ8_0, 1, 0}, {KvType::kFp16, 2, 0}}));
}

TEST(KvSpecText, WhatIsLeftOpenComesFromTheDefaults) {
  const KvSpec defaults{{KvType::kFp32, 10, 1}, {KvType::kTurboKv3b, 20, 2}};
  EXPECT_EQ(parse_kv_spec("q8_0", defaults),
            (KvSpec{{KvType::kQ8_0, 10, 1}, {KvType::kTurboKv3b, 20, 2}}));
  EXPECT_EQ(parse_kv_spec("q8_0@window=0:sink=0", defaults),
            (KvSpec{{KvType::kQ8_0, 0, 0}, {KvType::kTurboKv3b, 0, 0}}));
}

TEST(KvSpecText, IsReadBackAsTheSame) {
  for (const char* text :
       {"fp32/fp32", "uniform_2b/fp16@k-window=512", "turbo_kv_4b/turbo_kv_4b@window=128:sink=4",
        "q8_0/fp16@v-window=3", "q8_0/fp16@k-window=5:v-window=3:sink=1"}) {
    const KvSpec spec = parse(text);
    EXPECT_EQ(parse(kv_spec_text(spec)), spec) << text;
  }
  EXPECT_EQ(kv_spec_text(parse("uniform_2b@k-window=512")), "uniform_2b/fp16@k-window=512");
}

TEST(KvSpecText, WhatCannotBeReadIsNamed) {
  const auto refused = [](std::string_view text, const char* part) {
    expect_error(ErrorKind::kUsage, part, [&] { parse(text); });
  };
  refused("", "expected KEYS");
  refused("a/b/c", "expected KEYS");
  refused("turbo_kv_4", "did you mean 'turbo_kv_4b'");
  refused("fp16/", "unknown KV type ''");
  refused("fp16@", "unknown option ''");
  refused("fp16@windwo=3", "did you mean window?");
  refused("fp16@window", "window= needs a whole number");
  refused("fp16@window=", "window= needs a whole number");
  refused("fp16@window=-1", "window= needs a whole number");
  refused("fp16@window=3x", "window= needs a whole number");
  refused("fp16@sink=1:sink=2", "given twice");
}

}  // namespace
}  // namespace quant::test
