// Reads little-endian values from a span of bytes and never beyond its end.
#pragma once

#include <fmt/format.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "quant/error.h"

namespace quant {

static_assert(std::endian::native == std::endian::little, "GGUF values are read as stored");

/// Position in one file's bytes. Every read names what it reads, so that the Error(kModel) of a
/// file that ends too early says where. Strings are views into the bytes.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view path) : bytes_(bytes), path_(path) {}

  std::uint64_t position() const noexcept { return position_; }
  std::uint64_t remaining() const noexcept { return bytes_.size() - position_; }

  template <class T>
  T read(std::string_view what) {
    static_assert(std::is_arithmetic_v<T>);
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  /// A length of 64 bits and that many bytes.
  std::string_view read_string(std::string_view what) {
    const auto length = read<std::uint64_t>(what);
    need(length, what);
    const auto* begin = reinterpret_cast<const char*>(bytes_.data() + position_);
    position_ += length;
    return {begin, static_cast<std::size_t>(length)};
  }

  /// A count of items of at least item_bytes each, refused if the rest of the file could not hold
  /// them: nothing is allocated for a count that cannot be true.
  std::uint64_t read_count(std::uint64_t item_bytes, std::string_view what) {
    const auto count = read<std::uint64_t>(what);
    if (count > remaining() / item_bytes) {
      fail(fmt::format("{} of {} exceeds the file: truncated or damaged", what, count));
    }
    return count;
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::kModel, fmt::format("{}: {}", path_, problem));
  }

 private:
  void need(std::uint64_t count, std::string_view what) const {
    if (count > remaining()) {
      fail(
          fmt::format("the file ends within {} at byte {}: truncated or damaged", what, position_));
    }
  }

  std::span<const std::byte> bytes_;
  std::string_view path_;
  std::uint64_t position_ = 0;
};

/// Text from a file made fit for a one-line message: at most 64 bytes, everything but printable
/// ASCII escaped.
inline std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 64)) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (text.size() > 64) out += "...";
  return out;
}

}  // namespace quant
