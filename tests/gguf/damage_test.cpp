// Damaged and hostile files give a quant::Error: no crash, no read outside the map, no huge
// allocation.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "gguf/gguf.h"
#include "support/expect_error.h"
#include "support/gguf_writer.h"
#include "support/paths.h"

namespace quant::test {
namespace {

constexpr auto kF32 = static_cast<std::uint32_t>(TensorType::kF32);

/// Every kind of value and two tensors, the last data byte at the end of the file.
GgufWriter sample() {
  return GgufWriter()
      .add("general.architecture", "llama")
      .add("a.u32", std::uint32_t{7})
      .add("a.f32", 1.5f)
      .add("a.flag", true)
      .add("a.ints", std::vector<std::int32_t>{1, 2, 3})
      .add("a.flags", std::vector<bool>{true, false})
      .add("a.floats", std::vector<double>{1.0, 2.0})
      .add("a.strings", std::vector<std::string>{"x", "yz"})
      .add_tensor("t0", {2, 2}, {1.0f, 2.0f, 3.0f, 4.0f})
      .add_tensor("t1", {32}, 8, std::string(34, 'q'));
}

/// A header with no pairs and no tensors but what the test appends.
std::string header(std::uint32_t version, std::uint64_t n_tensors, std::uint64_t n_metadata) {
  std::string out = "GGUF";
  put(out, version);
  put(out, n_tensors);
  put(out, n_metadata);
  return out;
}

/// The name, dimensions, type and offset of one tensor, and `data` zeros.
std::string one_tensor(const std::vector<std::uint64_t>& dims, std::uint32_t type,
                       std::uint64_t offset, std::size_t data = 4096) {
  std::string out = header(3, 1, 0);
  put_string(out, "t");
  put(out, static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t dim : dims) put(out, dim);
  put(out, type);
  put(out, offset);
  return out + std::string(data, '\0');
}

class DamageTest : public testing::Test {
 protected:
  void expect_refused(const std::string& bytes, const std::string& text) {
    write_file(path_, bytes);
    expect_error(ErrorKind::kModel, text, [&] { GgufFile::open(path_.string()); });
  }
  void expect_refused(const GgufWriter& writer, const std::string& text) {
    expect_refused(writer.bytes(), text);
  }

  /// Opens the bytes and reads all that the file offers; true if they were accepted.
  bool survives(const std::string& bytes) {
    write_file(path_, bytes);
    try {
      const GgufFile file = GgufFile::open(path_.string());
      for (const Tensor& tensor : file.tensors()) {
        for (const std::byte byte : tensor.data) sum_ += std::to_integer<unsigned>(byte);
      }
      for (const auto& [key, value] : file.metadata()) {
        sum_ += static_cast<unsigned>(key.size());
        if (const auto* text = std::get_if<std::string_view>(&value)) {
          for (const char c : *text) sum_ += static_cast<unsigned char>(c);
        }
      }
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return false;
    }
  }

  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "file.gguf";
  unsigned sum_ = 0;
};

TEST_F(DamageTest, TruncationAtEveryByteIsRefused) {
  const std::string bytes = sample().bytes();
  ASSERT_TRUE(survives(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(survives(bytes.substr(0, size))) << "cut to " << size << " bytes";
  }
}

TEST_F(DamageTest, EveryFlippedBitOfTheHeaderIsSurvived) {
  const std::string bytes = sample().bytes();
  const std::size_t header_bytes = bytes.size() - 66;  // the two tensors' data
  int refused = 0;
  for (std::size_t i = 0; i < header_bytes; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      if (!survives(damaged)) ++refused;
    }
  }
  // Flips within names and values cannot be noticed; those of counts, types and sizes are.
  EXPECT_GT(refused, static_cast<int>(header_bytes) * 8 / 3);
}

TEST_F(DamageTest, EveryOverwrittenWordIsSurvived) {
  const std::string bytes = sample().bytes();
  const std::uint64_t kWords[] = {0,
                                  std::numeric_limits<std::uint64_t>::max(),
                                  std::uint64_t{1} << 63,
                                  std::uint64_t{1} << 32,
                                  0x7fffffff,
                                  bytes.size()};
  for (std::size_t i = 0; i + sizeof(std::uint64_t) <= bytes.size(); ++i) {
    for (const std::uint64_t word : kWords) {
      std::string damaged = bytes;
      std::memcpy(&damaged[i], &word, sizeof(word));
      survives(damaged);
    }
  }
  EXPECT_TRUE(survives(bytes));
}

TEST_F(DamageTest, OtherFilesAndVersionsAreNamed) {
  expect_refused("not a model at all", "not a GGUF file");
  expect_refused("GG", "not a GGUF file");
  expect_refused(header(0x03000000, 0, 0), "big-endian");
  expect_refused(header(1, 0, 0), "GGUF version 1");
  expect_refused(header(4, 0, 0), "GGUF version 4");
}

TEST_F(DamageTest, HugeCountsAreRefused) {
  constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
  expect_refused(header(3, kHuge, 0), "the tensor count");
  expect_refused(header(3, 0, kHuge), "the metadata count");
  expect_refused(header(3, 0, std::uint64_t{1} << 40), "the metadata count");

  std::string key = header(3, 0, 1);
  put(key, kHuge);
  expect_refused(key + std::string(64, 'k'), "a metadata key");

  std::string text;
  put<std::uint32_t>(text, 8);
  put(text, kHuge - 3);
  expect_refused(GgufWriter().add_raw("k", text), "metadata k");

  for (const std::uint64_t count : {kHuge, std::uint64_t{1} << 61, std::uint64_t{1000}}) {
    std::string array;
    put<std::uint32_t>(array, 9);
    put<std::uint32_t>(array, 11);
    put(array, count);
    expect_refused(GgufWriter().add_raw("k", array), "metadata k");
  }
}

TEST_F(DamageTest, BadMetadataIsRefused) {
  std::string nested;
  for (const std::uint32_t word : {9u, 9u, 1u, 0u}) put(nested, word);
  expect_refused(GgufWriter().add_raw("k", nested + std::string(64, '\0')), "array of arrays");

  std::string unknown;
  put<std::uint32_t>(unknown, 13);
  expect_refused(GgufWriter().add_raw("k", unknown + std::string(8, '\0')),
                 "unknown value type 13");

  std::string flag;
  put<std::uint32_t>(flag, 7);
  expect_refused(GgufWriter().add_raw("k", flag + '\2'), "neither true nor false");

  expect_refused(GgufWriter().add("k", std::uint64_t{1} << 63), "beyond 63 bits");
  expect_refused(GgufWriter().add("k", 1.0f).add("k", 2.0f), "metadata k appears twice");
  expect_refused(GgufWriter().add("", 1.0f), "a metadata key has 0 bytes");
  expect_refused(GgufWriter().add(std::string(65536, 'k'), 1.0f), "a metadata key has 65536 bytes");
  expect_refused(GgufWriter().add("line\nbreak", 1.0f).add("line\nbreak", 1.0f), "line\\x0abreak");
}

TEST_F(DamageTest, BadAlignmentIsRefused) {
  for (const std::uint32_t alignment : {0u, 1u, 4u, 24u, 33u, 0x80000000u}) {
    expect_refused(GgufWriter().add("general.alignment", alignment), "general.alignment");
  }
  expect_refused(GgufWriter().add("general.alignment", "32"), "general.alignment");
}

TEST_F(DamageTest, BadShapesAreRefused) {
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 32;
  expect_refused(one_tensor({0}, kF32, 0), "impossible shape");
  expect_refused(one_tensor({kHalf, kHalf}, kF32, 0), "impossible shape");
  expect_refused(one_tensor({4, std::numeric_limits<std::uint64_t>::max()}, kF32, 0),
                 "impossible shape");
  expect_refused(one_tensor({std::uint64_t{1} << 60}, kF32, 0), "beyond the end");
  expect_refused(one_tensor({33}, 8, 0), "not a multiple of Q8_0's blocks of 32");
  expect_refused(one_tensor({}, kF32, 0), "0 dimensions");
  expect_refused(one_tensor({1, 1, 1, 1, 1}, kF32, 0), "5 dimensions");
}

TEST_F(DamageTest, BadOffsetsAreRefused) {
  expect_refused(one_tensor({4}, kF32, 4), "not a multiple of the alignment 32");
  expect_refused(one_tensor({4}, kF32, 8192), "beyond the end");
  expect_refused(one_tensor({4}, kF32, std::numeric_limits<std::uint64_t>::max() - 31),
                 "beyond the end");
  // Nothing is known of this type's size, but its start must lie in the file.
  expect_refused(one_tensor({256}, 16, 8192), "beyond the end");
}

TEST_F(DamageTest, OverlapsAndDuplicatesAreRefused) {
  std::string bytes = header(3, 2, 0);
  for (const auto& [name, offset] : {std::pair{"a", 32}, std::pair{"b", 0}}) {
    put_string(bytes, name);
    put<std::uint32_t>(bytes, 1);
    put<std::uint64_t>(bytes, 9);  // 36 bytes
    put(bytes, kF32);
    put(bytes, static_cast<std::uint64_t>(offset));
  }
  expect_refused(bytes + std::string(256, '\0'), "tensors b and a overlap");
  expect_refused(GgufWriter().add_tensor("t", {1}, {1.0f}).add_tensor("t", {1}, {2.0f}),
                 "tensor t appears twice");
  expect_refused(GgufWriter().add_tensor("", {1}, {1.0f}), "a tensor name has 0 bytes");
  expect_refused(GgufWriter().add_tensor(std::string(65, 't'), {1}, {1.0f}),
                 "a tensor name has 65 bytes");
}

}  // namespace
}  // namespace quant::test
