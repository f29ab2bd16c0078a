// Names, sizes and descriptions of the KV formats: include/quant/kv_spec.h.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "formats/kv_rows.h"
#include "quant/kv_spec.h"
#include "support/expect_error.h"

namespace quant::test {
namespace {

TEST(KvRegistry, IsInTheOrderOfKvType) {
  ASSERT_EQ(kv_formats().size(), 10u);
  for (std::size_t i = 0; i < kv_formats().size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kv_formats()[i].type), i);
    EXPECT_EQ(&kv_format_info(kv_formats()[i].type), &kv_formats()[i]);
    EXPECT_FALSE(kv_formats()[i].summary.empty());
  }
}

/// The table of docs/kv-formats.md.
TEST(KvRegistry, BitsPerValue) {
  const std::map<std::string_view, std::vector<double>> expected = {
      {"fp32", {32, 32, 32}},
      {"fp16", {16, 16, 16}},
      {"bf16", {16, 16, 16}},
      {"q8_0", {8.5, 8.5, 8.5}},
      {"uniform_2b", {3, 3, 3}},
      {"uniform_3b", {4, 4, 4}},
      {"uniform_4b", {5, 5, 5}},
      {"turbo_kv_2b", {2.25, 2.125, 2.0625}},
      {"turbo_kv_3b", {3.25, 3.125, 3.0625}},
      {"turbo_kv_4b", {4.25, 4.125, 4.0625}},
  };
  ASSERT_EQ(expected.size(), kv_formats().size());
  const auto bits = [](const KvFormatInfo& format, int d) {
    return 8.0 * static_cast<double>(format.row_bytes(d)) / d;
  };
  for (const KvFormatInfo& format : kv_formats()) {
    const std::vector<double>& row = expected.at(format.name);
    EXPECT_EQ(bits(format, 64), row[0]) << format.name;
    EXPECT_EQ(bits(format, 128), row[1]) << format.name;
    EXPECT_EQ(bits(format, 256), row[2]) << format.name;
  }
  // Blocks of 16 at the end of a row; nothing is padded.
  EXPECT_DOUBLE_EQ(bits(kv_format_info(KvType::kQ8_0), 80), 8.6);
  EXPECT_DOUBLE_EQ(bits(kv_format_info(KvType::kUniform2b), 80), 3.2);
  EXPECT_EQ(kv_format_info(KvType::kTurboKv4b).row_bytes(64), 34u);
  EXPECT_EQ(kv_format_info(KvType::kTurboKv4b).row_bytes(80), 42u);
}

TEST(KvRegistry, NamesAreParsed) {
  for (const KvFormatInfo& format : kv_formats()) {
    EXPECT_EQ(parse_kv_type(format.name), format.type);
  }
  EXPECT_EQ(parse_kv_type("f32"), KvType::kFp32);
  EXPECT_EQ(parse_kv_type("f16"), KvType::kFp16);
}

TEST(KvRegistry, UnknownNamesGetASuggestion) {
  expect_error(ErrorKind::kUsage, "unknown KV type 'turbo_kv_4'; did you mean 'turbo_kv_4b'?",
               [] { parse_kv_type("turbo_kv_4"); });
  expect_error(ErrorKind::kUsage, "did you mean 'uniform_2b'?",
               [] { parse_kv_type("unifrom_2b"); });
  for (const char* name : {"q4_0", "q4_1", "iq4_nl"}) {
    expect_error(ErrorKind::kUsage, "'; did you mean 'uniform_4b'? Known: fp32, fp16",
                 [&] { parse_kv_type(name); });
  }
  for (const char* name : {"q5_0", "q5_1"}) {
    expect_error(ErrorKind::kUsage, "did you mean 'q8_0'?", [&] { parse_kv_type(name); });
  }
  expect_error(ErrorKind::kUsage, "'mxfp4_moe_special'; known: fp32, fp16, bf16, q8_0, uniform_2b",
               [] { parse_kv_type("mxfp4_moe_special"); });
  expect_error(ErrorKind::kUsage, "known: fp32", [] { parse_kv_type(""); });
}

TEST(KvRegistry, HeadDimsThatAFormatHolds) {
  for (const KvFormatInfo& format : kv_formats()) {
    for (const int d : kDims) {
      EXPECT_TRUE(format.supports(d)) << format.name << " " << d;
      EXPECT_NO_THROW(require_head_dim(format.type, d));
    }
    for (const int d : {-16, 0, 8, 20, 72, 100, 520, 528, 1024}) {
      EXPECT_FALSE(format.supports(d)) << format.name << " " << d;
      expect_error(ErrorKind::kModel, "head_dim " + std::to_string(d),
                   [&] { require_head_dim(format.type, d); });
    }
  }
  EXPECT_TRUE(kv_format_info(KvType::kQ8_0).supports(144));
  expect_error(ErrorKind::kModel,
               "turbo_kv_3b cannot hold rows of head_dim 144; it holds 16, 32, 48, 64, 80, 96, 112",
               [] { require_head_dim(KvType::kTurboKv3b, 144); });
}

TEST(KvRegistry, Descriptions) {
  constexpr KvType kTurbo = KvType::kTurboKv4b;
  EXPECT_EQ(describe({{kTurbo, 0, 0}, {kTurbo, 0, 0}}), "turbo_kv_4b");
  EXPECT_EQ(describe({{kTurbo, 128, 0}, {kTurbo, 0, 0}}), "turbo_kv_4b k-window 128");
  EXPECT_EQ(describe({{kTurbo, 64, 4}, {KvType::kFp16, 64, 4}}),
            "turbo_kv_4b/fp16 window 64 sink 4");
  EXPECT_EQ(describe({{KvType::kQ8_0, 8, 0}, {KvType::kFp16, 16, 2}}),
            "q8_0/fp16 k-window 8 v-window 16 v-sink 2");
}

}  // namespace
}  // namespace quant::test
