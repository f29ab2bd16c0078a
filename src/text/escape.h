// SentencePiece's spelling of a space, U+2581.
#pragma once

#include <string>
#include <string_view>

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
