#include "text/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "gguf/cursor.h"
#include "quant/error.h"
#include "text/pre_tokenizer_patterns.h"
#include "text/utf8.h"

namespace quant {
namespace {

/// Characters that a PCRE2 of Unicode 14 (Debian 12) does not know, but Unicode 15.1 does, the
/// version of llama.cpp's tables; each range with a known character of the same category, block
/// or script group, and length in UTF-8. U+180E is a space to Perl, but not to Unicode.
struct StandIn {
  char32_t first;
  char32_t last;
  char32_t known;
};
constexpr char32_t kLetter = 0x10000, kMark = 0x101FD, kNumber = 0x10107, kPunctuation = 0x10100,
                   kSymbol = 0x1F300;
constexpr StandIn kStandIns[] = {
    {0xCF3, 0xCF3, 0xCE2},
    {0xECE, 0xECE, 0xECD},
    {0x180E, 0x180E, 0x200B},
    {0x2FFC, 0x2FFF, 0x2FF0},
    {0x31EF, 0x31EF, 0x31C0},
    {0x10EFD, 0x10EFF, kMark},
    {0x1123F, 0x11240, kLetter},
    {0x11241, 0x11241, kMark},
    {0x11B00, 0x11B09, kPunctuation},
    {0x11F00, 0x11F01, kMark},
    {0x11F02, 0x11F02, kLetter},
    {0x11F03, 0x11F03, kMark},
    {0x11F04, 0x11F10, kLetter},
    {0x11F12, 0x11F33, kLetter},
    {0x11F34, 0x11F3A, kMark},
    {0x11F3E, 0x11F42, kMark},
    {0x11F43, 0x11F4F, kPunctuation},
    {0x11F50, 0x11F59, kNumber},
    {0x1342F, 0x1342F, kLetter},
    {0x13440, 0x13440, kMark},
    {0x13441, 0x13446, kLetter},
    {0x13447, 0x13455, kMark},
    {0x1B132, 0x1B132, kLetter},
    {0x1B155, 0x1B155, kLetter},
    {0x1D2C0, 0x1D2D3, kNumber},
    {0x1DF25, 0x1DF2A, kLetter},
    {0x1E030, 0x1E06D, kLetter},
    {0x1E08F, 0x1E08F, kMark},
    {0x1E4D0, 0x1E4EB, kLetter},
    {0x1E4EC, 0x1E4EF, kMark},
    {0x1E4F0, 0x1E4F9, kNumber},
    {0x1F6DC, 0x1F6DC, kSymbol},
    {0x1F774, 0x1F776, kSymbol},
    {0x1F77B, 0x1F77F, kSymbol},
    {0x1F7D9, 0x1F7D9, kSymbol},
    {0x1FA75, 0x1FA77, kSymbol},
    {0x1FA87, 0x1FA88, kSymbol},
    {0x1FAAD, 0x1FAAF, kSymbol},
    {0x1FABB, 0x1FABD, kSymbol},
    {0x1FABF, 0x1FABF, kSymbol},
    {0x1FACE, 0x1FACF, kSymbol},
    {0x1FADA, 0x1FADB, kSymbol},
    {0x1FAE8, 0x1FAE8, kSymbol},
    {0x1FAF7, 0x1FAF8, kSymbol},
    {0x2B739, 0x2B739, 0x2A700},
    {0x2EBF0, 0x2EE5D, kLetter},
    {0x31350, 0x323AF, kLetter},
};

char32_t stand_in(char32_t c) {
  if (c < kStandIns[0].first) return c;
  const auto* it = std::partition_point(std::begin(kStandIns), std::end(kStandIns),
                                        [c](const StandIn& s) { return s.last < c; });
  return it != std::end(kStandIns) && it->first <= c ? it->known : c;
}

/// The text as the patterns are to see it: valid UTF-8 of the same length, character for
/// character. A byte that is not UTF-8 becomes DEL, a control character no pattern mentions.
std::string as_seen_by_patterns(std::string_view text) {
  std::string seen;
  seen.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    if (!c.valid) {
      seen += '\x7F';
    } else {
      append_utf8(seen, stand_in(c.code_point));
    }
    at += c.size;
  }
  return seen;
}

}  // namespace

std::span<const PreTokenizerSpec> pre_tokenizer_specs() noexcept { return pre_tokenizer::kSpecs; }

const PreTokenizerSpec& find_pre_tokenizer(std::string_view name) {
  std::string known;
  for (const PreTokenizerSpec& spec : pre_tokenizer_specs()) {
    if (spec.name == name) return spec;
    known += known.empty() ? "" : ", ";
    known += spec.name;
  }
  throw Error(ErrorKind::kModel, fmt::format("pre-tokenizer '{}' is not supported; known are {}",
                                             printable(name), known));
}

PreTokenizer::PreTokenizer(const PreTokenizerSpec& spec) {
  for (const std::string_view pattern : spec.patterns) steps_.emplace_back(std::string(pattern));
}

std::vector<std::size_t> PreTokenizer::split(std::string_view text) const {
  if (text.empty()) return {};
  const std::string seen = as_seen_by_patterns(text);
  Regex::Scratch scratch;
  std::vector<std::size_t> ends = {seen.size()};
  for (const Regex& step : steps_) {
    std::vector<std::size_t> finer;
    finer.reserve(ends.size());
    std::size_t piece_begin = 0;
    for (const std::size_t piece_end : ends) {
      const std::string_view piece(seen.data() + piece_begin, piece_end - piece_begin);
      std::size_t at = 0;
      while (at < piece.size()) {
        const auto match = step.find(piece, at, scratch);
        if (!match) break;
        if (match->begin > at) finer.push_back(piece_begin + match->begin);
        finer.push_back(piece_begin + match->end);
        at = match->end;
      }
      if (at < piece.size()) finer.push_back(piece_end);
      piece_begin = piece_end;
    }
    ends = std::move(finer);
  }
  return ends;
}

}  // namespace quant
