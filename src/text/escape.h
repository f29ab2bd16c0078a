// SentencePiece's spelling of a space, U+2581.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quant {

inline constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";

inline std::string escape_spaces(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    if (c == ' ') {
      escaped += kEscapedSpace;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

/// The stretches between U+2581 characters of a text, and these characters: they are to be spelled
/// in bytes, lest they come back as spaces. The first stretch is always there, maybe empty.
inline std::vector<std::string_view> split_at_escaped_spaces(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(kEscapedSpace);
    if (parts.empty() || at != 0) parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    parts.push_back(text.substr(at, kEscapedSpace.size()));
    text.remove_prefix(at + kEscapedSpace.size());
  }
}

inline std::string unescape_spaces(std::string_view text) {
  std::string plain;
  std::size_t at = 0;
  while (true) {
    const std::size_t space = text.find(kEscapedSpace, at);
    plain += text.substr(at, space - at);
    if (space == std::string_view::npos) return plain;
    plain += ' ';
    at = space + kEscapedSpace.size();
  }
}

}  // namespace quant
