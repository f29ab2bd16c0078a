// SentencePiece vocabularies with scores (tokenizer.ggml.model "llama").
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary_tokenizer.h"

namespace quant {

/// Neighbours are merged into the token with the highest score; what is no token in the end is
/// spelled in bytes. tokenizer.ggml.remove_extra_whitespaces is not obeyed, as in llama.cpp
/// b11434, because the text could not be had back.
class SpmTokenizer final : public VocabularyTokenizer {
 public:
  /// Throws Error(kModel).
  explicit SpmTokenizer(const GgufFile& file);

  std::string decode(const std::vector<Token>& tokens, bool render_special) const override;

 protected:
  void encode_text(std::string_view text, bool starts, std::vector<Token>& out) const override;
  std::string bytes_of_text(std::string_view text) const override;

 private:
  void encode_escaped(std::string_view text, std::vector<Token>& out) const;
  void append_bytes(std::string_view bytes, std::vector<Token>& out) const;

  bool add_space_prefix_;
  std::array<Token, 256> byte_tokens_;  ///< kNoToken where the vocabulary has none
};

}  // namespace quant
