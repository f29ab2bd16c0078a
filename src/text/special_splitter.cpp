#include "text/special_splitter.h"

#include <algorithm>
#include <utility>

namespace quant {
namespace {

constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

std::string_view strip_left(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(kWhiteSpace), text.size()));
}

std::string_view strip_right(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kWhiteSpace) + 1);
}

/// Where the pattern begins in text[from, end) within one of the stretches, or npos.
std::size_t find_within(std::string_view text, std::size_t from, std::size_t end,
                        std::string_view pattern, std::span<const Stretch> stretches) {
  for (const Stretch& stretch : stretches) {
    const std::size_t begin = std::max(from, stretch.begin);
    const std::size_t limit = std::min(end, stretch.end);
    if (begin >= limit) continue;
    const std::size_t at = text.substr(begin, limit - begin).find(pattern);
    if (at != std::string_view::npos) return begin + at;
  }
  return std::string_view::npos;
}

}  // namespace

SpecialSplitter::SpecialSplitter(const Vocabulary& vocabulary) : vocabulary_(&vocabulary) {
  for (Token token = 0; token < vocabulary.size(); ++token) {
    if (vocabulary.attributes(token) & (kTokenControl | kTokenUserDefined | kTokenUnknown)) {
      tokens_.push_back(token);
    }
  }
  std::ranges::stable_sort(tokens_, [&](Token a, Token b) {
    return vocabulary.text(a).size() > vocabulary.text(b).size();
  });
}

std::vector<Fragment> SpecialSplitter::split(std::string_view text,
                                             std::span<const Stretch> parsed) const {
  if (text.empty()) return {};
  const Stretch everywhere{0, text.size()};
  std::vector<Fragment> fragments = {{kNoToken, text}};
  for (const Token token : tokens_) {
    const bool hidden = vocabulary_->attributes(token) & (kTokenControl | kTokenUnknown);
    const std::span<const Stretch> stretches = hidden ? parsed : std::span(&everywhere, 1);
    // Most special tokens are not in the text at all.
    if (stretches.empty() || text.find(vocabulary_->text(token)) == std::string_view::npos) {
      continue;
    }
    std::vector<Fragment> finer;
    for (const Fragment& fragment : fragments) {
      if (fragment.token == kNoToken) {
        split_at(token, text, fragment.text, stretches, finer);
      } else {
        finer.push_back(fragment);
      }
    }
    fragments = std::move(finer);
  }
  return fragments;
}

void SpecialSplitter::split_at(Token token, std::string_view whole, std::string_view part,
                               std::span<const Stretch> stretches,
                               std::vector<Fragment>& out) const {
  const std::string_view pattern = vocabulary_->text(token);
  const int attributes = vocabulary_->attributes(token);
  while (!part.empty()) {
    const auto begin = static_cast<std::size_t>(part.data() - whole.data());
    const std::size_t at = find_within(whole, begin, begin + part.size(), pattern, stretches);
    if (at == std::string_view::npos) {
      out.push_back({kNoToken, part});
      return;
    }
    std::string_view left = part.substr(0, at - begin);
    if (attributes & kTokenStripLeft) left = strip_right(left);
    if (!left.empty()) out.push_back({kNoToken, left});
    out.push_back({token, {}});
    part.remove_prefix(at - begin + pattern.size());
    if (attributes & kTokenStripRight) part = strip_left(part);
  }
}

}  // namespace quant
