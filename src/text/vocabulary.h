// The tokens of a GGUF file: texts, scores, types, and which of them are special.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gguf/gguf.h"
#include "quant/tokenizer.h"

namespace quant {

inline constexpr Token kNoToken = -1;

/// What a token is; a token may be several of these.
enum TokenAttribute : std::uint8_t {
  kTokenNormal = 1,
  kTokenUnknown = 2,
  kTokenControl = 4,
  kTokenUserDefined = 8,
  kTokenByte = 16,
  kTokenStripLeft = 32,   ///< takes white space before it away when parsed from a text
  kTokenStripRight = 64,  ///< and after it
};

/// Owns its texts. Texts are unique and never empty.
class Vocabulary {
 public:
  /// Throws Error(kModel) if the arrays of the file do not go together.
  explicit Vocabulary(const GgufFile& file);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  Token size() const noexcept { return static_cast<Token>(attributes_.size()); }
  std::string_view text(Token token) const noexcept {
    const std::size_t i = static_cast<std::size_t>(token);
    return {texts_.data() + ends_[i], ends_[i + 1] - ends_[i]};
  }
  std::uint8_t attributes(Token token) const noexcept {
    return attributes_[static_cast<std::size_t>(token)];
  }
  void set_attributes(Token token, int attributes) noexcept {
    attributes_[static_cast<std::size_t>(token)] = static_cast<std::uint8_t>(attributes);
  }
  float score(Token token) const noexcept { return scores_[static_cast<std::size_t>(token)]; }
  bool has_scores() const noexcept { return !scores_.empty(); }
  /// Bytes of the longest text.
  std::size_t longest() const noexcept { return longest_; }

  /// The token with this text, or kNoToken.
  Token find(std::string_view text) const noexcept {
    const auto it = by_text_.find(text);
    return it == by_text_.end() ? kNoToken : it->second;
  }
  /// The token <0xXX> of a byte, or kNoToken.
  Token find_byte(std::uint8_t byte) const;
  /// The byte of a token with kTokenByte, whose text is <0xXX>.
  char byte(Token token) const noexcept;

 private:
  void read_texts(const GgufFile& file);
  void read_types(const GgufFile& file);
  void read_scores(const GgufFile& file);

  std::vector<char> texts_;        ///< all texts one after the other
  std::vector<std::size_t> ends_;  ///< [size + 1]: where each text begins, and the end of the last
  std::vector<std::uint8_t> attributes_;  ///< [size]
  std::vector<float> scores_;             ///< [size], or empty if the file has none
  std::size_t longest_ = 0;
  std::unordered_map<std::string_view, Token> by_text_;  ///< views into texts_
};

/// Tokens with a meaning of their own, by the file's ids and by well-known texts.
struct SpecialTokens {
  std::optional<Token> bos;
  std::optional<Token> eos;
  std::optional<Token> unknown;
  std::vector<bool> end_of_generation;  ///< [size of the vocabulary]
};

/// What a file means that does not name a token.
struct SpecialDefaults {
  Token bos = kNoToken;
  Token eos = kNoToken;
  Token unknown = kNoToken;
};

/// Finds them as llama.cpp b11434 does, and corrects the attributes of tokens that are wrong in
/// many files. Throws Error(kModel) for an id beyond the vocabulary.
SpecialTokens find_special_tokens(const GgufFile& file, Vocabulary& vocabulary,
                                  const SpecialDefaults& defaults);

}  // namespace quant
