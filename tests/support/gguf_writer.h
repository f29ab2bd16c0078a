// Writes GGUF files for tests: any metadata, tensors from raw bytes, split files.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gguf/gguf.h"

namespace quant::test {

/// Appends a number as stored (little-endian).
template <class T>
void put(std::string& out, T value) {
  static_assert(std::is_arithmetic_v<T>);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}
void put_string(std::string& out, std::string_view text);

/// The number of GGUF's metadata value type for a C++ type.
template <class T>
constexpr std::uint32_t gguf_value_type() {
  if constexpr (std::is_same_v<T, bool>) return 7;
  if constexpr (std::is_same_v<T, float>) return 6;
  if constexpr (std::is_same_v<T, double>) return 12;
  if constexpr (std::is_same_v<T, std::uint8_t>) return 0;
  if constexpr (std::is_same_v<T, std::int8_t>) return 1;
  if constexpr (std::is_same_v<T, std::uint16_t>) return 2;
  if constexpr (std::is_same_v<T, std::int16_t>) return 3;
  if constexpr (std::is_same_v<T, std::uint32_t>) return 4;
  if constexpr (std::is_same_v<T, std::int32_t>) return 5;
  if constexpr (std::is_same_v<T, std::uint64_t>) return 10;
  if constexpr (std::is_same_v<T, std::int64_t>) return 11;
  if constexpr (std::is_same_v<T, std::string>) return 8;
}

class GgufWriter {
 public:
  explicit GgufWriter(std::uint32_t version = 3) : version_(version) {}

  /// A number, truth value or string.
  template <class T>
  GgufWriter& add(const std::string& key, const T& value) {
    std::string bytes;
    put(bytes, gguf_value_type<T>());
    put_value(bytes, value);
    return add_raw(key, bytes);
  }
  GgufWriter& add(const std::string& key, const char* text) { return add(key, std::string(text)); }
  template <class T>
  GgufWriter& add(const std::string& key, const std::vector<T>& values) {
    std::string bytes;
    put<std::uint32_t>(bytes, 9);
    put(bytes, gguf_value_type<T>());
    put<std::uint64_t>(bytes, values.size());
    for (const T& value : values) put_value(bytes, value);
    return add_raw(key, bytes);
  }
  /// Value type and value as they are to stand in the file.
  GgufWriter& add_raw(const std::string& key, const std::string& type_and_value);
  /// Replaces or drops what was added under the key.
  GgufWriter& remove(const std::string& key);

  /// dims[0] is the contiguous dimension; data as stored.
  GgufWriter& add_tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                         std::uint32_t type, std::string data);
  GgufWriter& add_tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                         const std::vector<float>& values);
  GgufWriter& remove_tensor(const std::string& name);

  /// Alignment of the data, also written as general.alignment.
  GgufWriter& align(std::uint32_t alignment);

  /// The whole file.
  std::string bytes() const;
  void write(const std::filesystem::path& path) const;
  /// Parts DIR/STEM-0000I-of-0000N.gguf as gguf-split writes them: metadata in the first, tensors
  /// dealt out in order. Returns their paths.
  std::vector<std::filesystem::path> write_split(const std::filesystem::path& dir,
                                                 const std::string& stem, int parts) const;

 private:
  struct StoredTensor {
    std::string name;
    std::vector<std::uint64_t> dims;
    std::uint32_t type;
    std::string data;
  };

  template <class T>
  static void put_value(std::string& out, const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      put_string(out, value);
    } else {
      put(out, value);
    }
  }

  std::uint32_t version_;
  std::uint32_t alignment_ = 32;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::vector<StoredTensor> tensors_;
};

void write_file(const std::filesystem::path& path, std::string_view bytes);
std::string read_file(const std::filesystem::path& path);

}  // namespace quant::test
