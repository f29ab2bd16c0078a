// Byte-pair encoding (tokenizer.ggml.model "gpt2"): pieces of the text, each merged by the rank of
// pairs.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/merge.h"
#include "text/pre_tokenizer.h"
#include "text/vocabulary_tokenizer.h"

namespace quant {

class BpeTokenizer final : public VocabularyTokenizer {
 public:
  /// Throws Error(kModel).
  BpeTokenizer(const GgufFile& file, const PreTokenizerSpec& spec);

 protected:
  void encode_text(std::string_view text, bool starts, std::vector<Token>& out) const override;
  std::string bytes_of_text(std::string_view text) const override;

 private:
  struct PairHash {
    std::size_t operator()(std::uint64_t pair) const noexcept;
  };
  struct Result {
    std::int32_t rank;
    Token token;
  };

  void read_merges(const GgufFile& file);
  Token find_whole(std::string_view piece) const;
  void encode_pieces(std::string_view text, std::vector<Token>& out) const;
  void append_bytes(std::string_view bytes, std::vector<Token>& out) const;
  void append_symbols(std::string_view piece, std::vector<Symbol>& symbols) const;
  void encode_piece(std::string_view piece, std::vector<Symbol>& symbols,
                    std::vector<Token>& out) const;

  const PreTokenizerSpec* spec_;
  PreTokenizer pre_tokenizer_;
  std::array<Token, 256> byte_tokens_;  ///< kNoToken where the vocabulary has none
  /// What two tokens merge to, by the left one in the upper and the right one in the lower half.
  std::unordered_map<std::uint64_t, Result, PairHash> merges_;
};

}  // namespace quant
