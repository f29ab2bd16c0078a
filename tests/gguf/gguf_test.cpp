// Sound GGUF files are read as they were written.
#include "gguf/gguf.h"

#include <gtest/gtest.h>

#include <cstring>

#include "support/expect_error.h"
#include "support/gguf_writer.h"
#include "support/paths.h"

namespace quant::test {
namespace {

constexpr auto kQ8 = static_cast<std::uint32_t>(TensorType::kQ8_0);

class GgufTest : public testing::Test {
 protected:
  GgufFile reopen(const GgufWriter& writer) {
    writer.write(path_);
    return GgufFile::open(path_.string());
  }

  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "file.gguf";
};

TEST_F(GgufTest, ReadsEveryValueType) {
  const GgufFile file = reopen(GgufWriter()
                                   .add("u8", std::uint8_t{200})
                                   .add("i8", std::int8_t{-100})
                                   .add("u16", std::uint16_t{60000})
                                   .add("i16", std::int16_t{-30000})
                                   .add("u32", std::uint32_t{4000000000})
                                   .add("i32", std::int32_t{-2000000000})
                                   .add("u64", std::uint64_t{1} << 62)
                                   .add("i64", std::int64_t{-1} << 62)
                                   .add("f32", 0.25f)
                                   .add("f64", 1e300)
                                   .add("yes", true)
                                   .add("no", false)
                                   .add("text", "tëxt"));
  EXPECT_EQ(file.get_int("u8"), 200);
  EXPECT_EQ(file.get_int("i8"), -100);
  EXPECT_EQ(file.get_int("u16"), 60000);
  EXPECT_EQ(file.get_int("i16"), -30000);
  EXPECT_EQ(file.get_int("u32"), 4000000000);
  EXPECT_EQ(file.get_int("i32"), -2000000000);
  EXPECT_EQ(file.get_int("u64"), std::int64_t{1} << 62);
  EXPECT_EQ(file.get_int("i64"), -(std::int64_t{1} << 62));
  EXPECT_EQ(file.get_float("f32"), 0.25);
  EXPECT_EQ(file.get_float("f64"), 1e300);
  EXPECT_EQ(file.get_bool("yes"), true);
  EXPECT_EQ(file.get_bool("no"), false);
  EXPECT_EQ(file.get_string("text"), "tëxt");
  EXPECT_EQ(file.metadata().size(), 13u);
  EXPECT_EQ(file.metadata().front().first, "u8");
}

TEST_F(GgufTest, ReadsArraysOfEveryKind) {
  const GgufFile file = reopen(GgufWriter()
                                   .add("u8", std::vector<std::uint8_t>{1, 255})
                                   .add("i16", std::vector<std::int16_t>{-1, 2, 3})
                                   .add("i64", std::vector<std::int64_t>{-5})
                                   .add("f32", std::vector<float>{0.5f, -2.0f})
                                   .add("f64", std::vector<double>{1e-300})
                                   .add("bool", std::vector<bool>{true, false, true})
                                   .add("text", std::vector<std::string>{"", "a", "bc"})
                                   .add("none", std::vector<std::string>{}));
  EXPECT_EQ(*file.get_ints("u8"), (std::vector<std::int64_t>{1, 255}));
  EXPECT_EQ(*file.get_ints("i16"), (std::vector<std::int64_t>{-1, 2, 3}));
  EXPECT_EQ(*file.get_ints("i64"), (std::vector<std::int64_t>{-5}));
  EXPECT_EQ(*file.get_floats("f32"), (std::vector<double>{0.5, -2.0}));
  EXPECT_EQ(*file.get_floats("f64"), (std::vector<double>{1e-300}));
  EXPECT_EQ(*file.get_strings("text"), (std::vector<std::string_view>{"", "a", "bc"}));
  EXPECT_TRUE(file.get_strings("none")->empty());
  const auto& array = std::get<MetadataArray>(*file.find("bool"));
  EXPECT_EQ(array.size(), 3u);
  EXPECT_EQ(std::get<std::vector<bool>>(array.values), (std::vector<bool>{true, false, true}));
}

TEST_F(GgufTest, TypedAccessSaysWhatIsWrong) {
  const GgufFile file = reopen(GgufWriter()
                                   .add("count", std::uint32_t{3})
                                   .add("name", "x")
                                   .add("list", std::vector<float>{1.0f}));
  EXPECT_EQ(file.get_int("absent"), std::nullopt);
  EXPECT_EQ(file.get_strings("absent"), nullptr);
  EXPECT_EQ(file.get_float("count"), 3.0);
  const auto fails = [](const std::string& text, const auto& action) {
    expect_error(ErrorKind::kModel, text, action);
  };
  fails("metadata name is not an integer", [&] { file.get_int("name"); });
  fails("metadata name is not a number", [&] { file.get_float("name"); });
  fails("metadata count is not true or false", [&] { file.get_bool("count"); });
  fails("metadata count is not a string", [&] { file.get_string("count"); });
  fails("metadata list is not an array of integers", [&] { file.get_ints("list"); });
  fails("metadata count is not an array of floats", [&] { file.get_floats("count"); });
  fails("metadata absent is missing", [&] { file.require_int("absent"); });
  fails("metadata absent is missing", [&] { file.require_float("absent"); });
  fails("metadata absent is missing", [&] { file.require_string("absent"); });
}

TEST_F(GgufTest, FindsTensorsWithTheirData) {
  for (const std::uint32_t version : {2u, 3u}) {
    const std::string q8(34 * 2, '\x11');
    const GgufFile file = reopen(GgufWriter(version)
                                     .add_tensor("a", {3}, {1.0f, 2.0f, 3.0f})
                                     .add_tensor("b", {32, 2}, kQ8, q8)
                                     .add_tensor("c", {1, 1, 1, 2}, {5.0f, 6.0f}));
    EXPECT_EQ(file.version(), version);
    ASSERT_EQ(file.tensors().size(), 3u);
    const Tensor* b = file.find_tensor("b");
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->type(), TensorType::kQ8_0);
    EXPECT_EQ(b->n_dims, 2u);
    EXPECT_EQ(b->values(), 64u);
    ASSERT_EQ(b->data.size(), q8.size());
    EXPECT_EQ(std::memcmp(b->data.data(), q8.data(), q8.size()), 0);
    float last = 0.0f;
    std::memcpy(&last, file.find_tensor("c")->data.data() + 4, 4);
    EXPECT_EQ(last, 6.0f);
    EXPECT_EQ(file.find_tensor("d"), nullptr);
    EXPECT_EQ(file.file_bytes(), std::filesystem::file_size(path_));
    EXPECT_EQ(file.part_paths(), std::vector<std::string>{path_.string()});
  }
}

TEST_F(GgufTest, ViewsSurviveAMove) {
  GgufFile first = reopen(GgufWriter().add("key", "value").add_tensor("t", {2}, {1.0f, 2.0f}));
  const GgufFile second = std::move(first);
  EXPECT_EQ(second.get_string("key"), "value");
  EXPECT_NE(second.find_tensor("t"), nullptr);
}

TEST_F(GgufTest, AlignmentPlacesTheData) {
  for (const std::uint32_t alignment : {8u, 64u, 4096u}) {
    const GgufFile file = reopen(
        GgufWriter().align(alignment).add_tensor("a", {1}, {1.5f}).add_tensor("b", {1}, {2.5f}));
    float value = 0.0f;
    std::memcpy(&value, file.find_tensor("b")->data.data(), 4);
    EXPECT_EQ(value, 2.5f);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.find_tensor("b")->data.data()) % alignment, 0u);
  }
}

TEST_F(GgufTest, ListsUnsupportedTypesButRefusesTheirUseByName) {
  const std::pair<std::uint32_t, const char*> kCases[] = {
      {16, "IQ2_XXS"}, {34, "TQ1_0"}, {39, "MXFP4"}, {26, "I32"}, {99, "type 99"}};
  for (const auto& [number, name] : kCases) {
    const GgufFile file = reopen(GgufWriter().add_tensor("w", {256}, number, std::string(64, 'x')));
    EXPECT_EQ(tensor_type_name(number), name);
    EXPECT_FALSE(tensor_type_supported(number));
    expect_error(ErrorKind::kModel, std::string("tensor w is of type ") + name,
                 [&] { file.tensors().front().type(); });
  }
}

TEST(TensorTypeTest, BlockSizesAreThoseOfGgml) {
  const auto expect = [](TensorType type, std::string_view name, std::uint32_t values,
                         std::uint32_t bytes) {
    const TensorTypeInfo& info = tensor_type_info(type);
    EXPECT_EQ(info.name, name);
    EXPECT_EQ(info.block_values, values) << name;
    EXPECT_EQ(info.block_bytes, bytes) << name;
    EXPECT_TRUE(tensor_type_supported(static_cast<std::uint32_t>(type)));
  };
  expect(TensorType::kF32, "F32", 1, 4);
  expect(TensorType::kF16, "F16", 1, 2);
  expect(TensorType::kBF16, "BF16", 1, 2);
  expect(TensorType::kQ4_0, "Q4_0", 32, 18);
  expect(TensorType::kQ4_1, "Q4_1", 32, 20);
  expect(TensorType::kQ5_0, "Q5_0", 32, 22);
  expect(TensorType::kQ5_1, "Q5_1", 32, 24);
  expect(TensorType::kQ8_0, "Q8_0", 32, 34);
  expect(TensorType::kQ2_K, "Q2_K", 256, 84);
  expect(TensorType::kQ3_K, "Q3_K", 256, 110);
  expect(TensorType::kQ4_K, "Q4_K", 256, 144);
  expect(TensorType::kQ5_K, "Q5_K", 256, 176);
  expect(TensorType::kQ6_K, "Q6_K", 256, 210);
  expect(TensorType::kIQ4_NL, "IQ4_NL", 32, 18);
  expect(TensorType::kIQ4_XS, "IQ4_XS", 256, 136);
}

TEST(GgufFilesTest, MissingFileIsAnIoError) {
  expect_error(ErrorKind::kIo, "/nowhere/model.gguf",
               [] { GgufFile::open("/nowhere/model.gguf"); });
}

}  // namespace
}  // namespace quant::test
