// Sets of split files open as one file.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "gguf/gguf.h"
#include "support/expect_error.h"
#include "support/gguf_writer.h"
#include "support/paths.h"

namespace quant::test {
namespace {

class SplitTest : public testing::Test {
 protected:
  static GgufWriter whole() {
    GgufWriter writer;
    writer.add("general.architecture", "llama");
    for (int i = 0; i < 5; ++i) {
      writer.add_tensor(fmt::format("t{}", i), {2}, {static_cast<float>(i), -1.0f});
    }
    return writer;
  }

  TempDir dir_;
};

TEST_F(SplitTest, PartsMakeOneFile) {
  const auto paths = whole().write_split(dir_.path(), "model", 3);
  const GgufFile file = GgufFile::open(paths[0].string());
  ASSERT_EQ(file.tensors().size(), 5u);
  for (int i = 0; i < 5; ++i) {
    const Tensor* tensor = file.find_tensor(fmt::format("t{}", i));
    ASSERT_NE(tensor, nullptr);
    float first = -1.0f;
    std::memcpy(&first, tensor->data.data(), sizeof(first));
    EXPECT_EQ(first, static_cast<float>(i));
  }
  std::vector<std::string> expected;
  std::uint64_t bytes = 0;
  for (const auto& path : paths) {
    expected.push_back(path.string());
    bytes += std::filesystem::file_size(path);
  }
  EXPECT_EQ(file.part_paths(), expected);
  EXPECT_EQ(file.file_bytes(), bytes);
  EXPECT_EQ(file.get_string("general.architecture"), "llama");
}

TEST_F(SplitTest, MissingPartIsNamed) {
  const auto paths = whole().write_split(dir_.path(), "model", 3);
  std::filesystem::remove(paths[1]);
  expect_error(ErrorKind::kIo, "model-00002-of-00003.gguf",
               [&] { GgufFile::open(paths[0].string()); });
}

TEST_F(SplitTest, OtherPartsNameTheFirst) {
  const auto paths = whole().write_split(dir_.path(), "model", 3);
  expect_error(ErrorKind::kModel, fmt::format("open the first part, {}", paths[0].string()),
               [&] { GgufFile::open(paths[2].string()); });
}

TEST_F(SplitTest, RenamedPartSaysWhichNameItNeeds) {
  const auto paths = whole().write_split(dir_.path(), "model", 2);
  const auto renamed = dir_.path() / "other.gguf";
  std::filesystem::rename(paths[0], renamed);
  expect_error(ErrorKind::kModel, "-00001-of-00002.gguf",
               [&] { GgufFile::open(renamed.string()); });
}

TEST_F(SplitTest, PartOfAnotherSetIsRefused) {
  const auto paths = whole().write_split(dir_.path(), "model", 3);
  std::filesystem::copy_file(paths[2], paths[1], std::filesystem::copy_options::overwrite_existing);
  expect_error(ErrorKind::kModel, "is not part 2 of 3", [&] { GgufFile::open(paths[0].string()); });
}

TEST_F(SplitTest, TensorsAreCountedAndUnique) {
  const auto part = [](int number) {
    return GgufWriter()
        .add("split.no", static_cast<std::uint16_t>(number))
        .add("split.count", std::uint16_t{2})
        .add("split.tensors.count", std::int32_t{2});
  };
  const auto first = dir_.path() / "m-00001-of-00002.gguf";
  const auto second = dir_.path() / "m-00002-of-00002.gguf";
  part(0).add_tensor("t", {1}, {1.0f}).write(first);
  part(1).add_tensor("t", {1}, {2.0f}).write(second);
  expect_error(ErrorKind::kModel, "tensor t is in two parts",
               [&] { GgufFile::open(first.string()); });
  part(1).write(second);
  expect_error(ErrorKind::kModel, "split.tensors.count", [&] { GgufFile::open(first.string()); });
}

TEST_F(SplitTest, ImpossibleNumbersAreRefused) {
  const auto path = dir_.path() / "m-00001-of-00002.gguf";
  GgufWriter().add("split.count", std::int32_t{-2}).write(path);
  expect_error(ErrorKind::kModel, "split.count", [&] { GgufFile::open(path.string()); });
  GgufWriter().add("split.count", "two").write(path);
  expect_error(ErrorKind::kModel, "split.count", [&] { GgufFile::open(path.string()); });
  GgufWriter().add("split.no", std::uint16_t{7}).add("split.count", std::uint16_t{2}).write(path);
  expect_error(ErrorKind::kModel, "part 8 of 2", [&] { GgufFile::open(path.string()); });
}

}  // namespace
}  // namespace quant::test
