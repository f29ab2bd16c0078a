// Finds the texts of special tokens in a text, before the rest of it is tokenized.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace quant {

/// A special token, or a stretch of text between such tokens.
struct Fragment {
  Token token;            ///< kNoToken for text
  std::string_view text;  ///< not empty if it is text
};

/// Bytes [begin, end) of a text.
struct Stretch {
  std::size_t begin;
  std::size_t end;
};

/// Immutable. Longer texts go first wherever they are, as in llama.cpp b11434.
class SpecialSplitter {
 public:
  /// The vocabulary must outlive the splitter.
  explicit SpecialSplitter(const Vocabulary& vocabulary);

  /// User-defined tokens are found anywhere, control and unknown tokens only within one of the
  /// stretches. Fragments are views of the text.
  std::vector<Fragment> split(std::string_view text, std::span<const Stretch> parsed) const;

 private:
  /// Splits a part of the whole text at the token, where it lies within one of the stretches.
  void split_at(Token token, std::string_view whole, std::string_view part,
                std::span<const Stretch> stretches, std::vector<Fragment>& out) const;

  const Vocabulary* vocabulary_;
  std::vector<Token> tokens_;  ///< longest text first
};

}  // namespace quant
