#include "utf8_stream.h"

#include <algorithm>
#include <utility>

namespace quant::tool {
namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; }

/// Bytes of the character that starts with c; 1 for what cannot start one.
std::size_t length_from(char c) {
  const unsigned byte = static_cast<unsigned char>(c);
  if (byte >= 0xf0 && byte <= 0xf4) return 4;
  if (byte >= 0xe0 && byte < 0xf0) return 3;
  if (byte >= 0xc2 && byte < 0xe0) return 2;
  return 1;
}

/// Length of an unfinished character at the end of the text, 0 if there is none.
std::size_t unfinished(std::string_view text) {
  const std::size_t most = std::min<std::size_t>(3, text.size());
  for (std::size_t n = 1; n <= most; ++n) {
    const char c = text[text.size() - n];
    if (continues(c)) continue;
    return length_from(c) > n ? n : 0;
  }
  return 0;
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  pending_ += bytes;
  const std::size_t held = unfinished(pending_);
  std::string whole = pending_.substr(0, pending_.size() - held);
  pending_.erase(0, whole.size());
  return whole;
}

std::string Utf8Stream::finish() { return std::exchange(pending_, {}); }

}  // namespace quant::tool
