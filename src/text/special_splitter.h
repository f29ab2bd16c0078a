// Finds the texts of special tokens in a text, before the rest of it is tokenized.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace quant {

/// A special token, or a stretch of text between such tokens.
struct Fragment {
  Token token;            ///< kNoToken for text
  std::string_view text;  ///< not empty if it is text
};

/// Immutable. Longer texts go first wherever they are, as in llama.cpp b11434.
class SpecialSplitter {
 public:
  /// The vocabulary must outlive the splitter.
  explicit SpecialSplitter(const Vocabulary& vocabulary);

  /// User-defined tokens are always found, control and unknown tokens only with parse_special.
  std::vector<Fragment> split(std::string_view text, bool parse_special) const;

 private:
  void split_at(Token token, std::string_view text, std::vector<Fragment>& out) const;

  const Vocabulary* vocabulary_;
  std::vector<Token> tokens_;  ///< longest text first
};

}  // namespace quant
