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

std::vector<Fragment> SpecialSplitter::split(std::string_view text, bool parse_special) const {
  if (text.empty()) return {};
  std::vector<Fragment> fragments = {{kNoToken, text}};
  for (const Token token : tokens_) {
    const bool hidden = vocabulary_->attributes(token) & (kTokenControl | kTokenUnknown);
    if (hidden && !parse_special) continue;
    // Most special tokens are not in the text at all.
    if (text.find(vocabulary_->text(token)) == std::string_view::npos) continue;
    std::vector<Fragment> finer;
    for (const Fragment& fragment : fragments) {
      if (fragment.token == kNoToken) {
        split_at(token, fragment.text, finer);
      } else {
        finer.push_back(fragment);
      }
    }
    fragments = std::move(finer);
  }
  return fragments;
}

void SpecialSplitter::split_at(Token token, std::string_view text,
                               std::vector<Fragment>& out) const {
  const std::string_view pattern = vocabulary_->text(token);
  const int attributes = vocabulary_->attributes(token);
  while (!text.empty()) {
    const std::size_t at = text.find(pattern);
    if (at == std::string_view::npos) {
      out.push_back({kNoToken, text});
      return;
    }
    std::string_view left = text.substr(0, at);
    if (attributes & kTokenStripLeft) left = strip_right(left);
    if (!left.empty()) out.push_back({kNoToken, left});
    out.push_back({token, {}});
    text.remove_prefix(at + pattern.size());
    if (attributes & kTokenStripRight) text = strip_left(text);
  }
}

}  // namespace quant
