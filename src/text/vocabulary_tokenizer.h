// What the tokenizers have in common: special tokens, and the meaning of token types.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/tokenizer.h"
#include "text/special_splitter.h"
#include "text/vocabulary.h"

namespace quant {

class VocabularyTokenizer : public Tokenizer {
 public:
  VocabularyTokenizer(const VocabularyTokenizer&) = delete;
  VocabularyTokenizer& operator=(const VocabularyTokenizer&) = delete;
  std::vector<Token> encode(std::string_view text, bool parse_special) const final;
  std::vector<Token> encode(std::span<const TextPiece> pieces) const final;
  std::string token_bytes(Token token, bool render_special) const final;

 protected:
  /// add_bos applies if the file does not say.
  VocabularyTokenizer(const GgufFile& file, const SpecialDefaults& defaults, bool add_bos);

  /// Appends the tokens of a text that is not empty and has no special tokens in it. starts: it is
  /// at the beginning or after a special token.
  virtual void encode_text(std::string_view text, bool starts, std::vector<Token>& out) const = 0;
  /// The bytes that a normal token with this text stands for.
  virtual std::string bytes_of_text(std::string_view text) const = 0;

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  /// The token for what the vocabulary cannot express, or kNoToken.
  Token unknown() const noexcept { return unknown_; }

 private:
  std::vector<Token> encode_parsed(std::string_view text, std::span<const Stretch> parsed) const;

  Vocabulary vocabulary_;
  Token unknown_ = kNoToken;
  SpecialSplitter splitter_;
};

}  // namespace quant
