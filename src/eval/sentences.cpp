#include "eval/sentences.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace quant {
namespace {

constexpr std::array<std::string_view, 3> kStops = {".", "!", "?"};
constexpr std::array<std::string_view, 3> kWideStops = {"。", "！", "？"};
constexpr std::array<std::string_view, 10> kClosing = {"\"", "'", ")", "]",  "_",
                                                       "”",  "’", "»", "」", "』"};
constexpr std::array<std::string_view, 10> kAbbreviations = {"Mr", "Mrs", "Ms",     "Dr",   "St",
                                                             "Jr", "Sr",  "Messrs", "Prof", "Esq"};

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

/// Bytes of the mark that stands at text[at], 0 if none does.
std::size_t mark_at(std::string_view text, std::size_t at,
                    std::span<const std::string_view> marks) {
  for (const std::string_view mark : marks) {
    if (text.substr(at).starts_with(mark)) return mark.size();
  }
  return 0;
}

bool ends_with_abbreviation(std::string_view text) {
  std::size_t begin = text.size();
  while (begin > 0 && is_letter(text[begin - 1])) --begin;
  const std::string_view word = text.substr(begin);
  return word.size() == 1 || std::ranges::find(kAbbreviations, word) != kAbbreviations.end();
}

/// White space follows, and then something that may begin a sentence.
bool may_end(std::string_view rest) {
  const std::size_t next =
      static_cast<std::size_t>(std::ranges::find_if_not(rest, is_space) - rest.begin());
  if (next == rest.size()) return true;
  return next > 0 && std::islower(static_cast<unsigned char>(rest[next])) == 0;
}

}  // namespace

std::vector<std::size_t> sentence_ends(std::string_view text) {
  std::vector<std::size_t> ends;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t wide = mark_at(text, at, kWideStops);
    const std::size_t stop = wide > 0 ? wide : mark_at(text, at, kStops);
    if (stop == 0) {
      ++at;
      continue;
    }
    const bool abbreviated = text[at] == '.' && ends_with_abbreviation(text.substr(0, at));
    at += stop;
    while (const std::size_t closing = mark_at(text, at, kClosing)) at += closing;
    if (!abbreviated && (wide > 0 || may_end(text.substr(at)))) ends.push_back(at);
  }
  return ends;
}

}  // namespace quant
