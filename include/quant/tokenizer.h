// Text to token ids and back, as the model file prescribes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quant {

class GgufFile;
using Token = std::int32_t;

/// A part of a text, and whether the texts of control tokens in it mean those tokens.
struct TextPiece {
  std::string text;
  bool parse_special = false;
};

/// Immutable after construction; encode and decode may be called from several threads.
class Tokenizer {
 public:
  /// Works on vocabulary-only files of any architecture. Throws Error(kModel) that names the
  /// tokenizer model or pre-tokenizer and lists the known ones if it is not supported.
  static std::unique_ptr<const Tokenizer> from_gguf(const GgufFile& file);
  /// Opens a GGUF file for its tokenizer alone. Also throws Error(kIo).
  static std::unique_ptr<const Tokenizer> load(const std::string& path);
  virtual ~Tokenizer() = default;

  /// Token ids of a text of any bytes, no BOS or EOS added. The texts of user-defined tokens in it
  /// become those tokens, with parse_special those of control and unknown tokens, too.
  /// O(n log n). Throws Error(kUsage) for a text of 512 MiB or more.
  virtual std::vector<Token> encode(std::string_view text, bool parse_special = false) const = 0;
  /// The same of pieces that make one text: tokens may cross from one to the next, control and
  /// unknown tokens are found only within a piece that parses them.
  virtual std::vector<Token> encode(std::span<const TextPiece> pieces) const = 0;
  /// The bytes that a token stands for; empty for control tokens unless render_special. Throws
  /// Error(kUsage) for a token beyond the vocabulary.
  virtual std::string token_bytes(Token token, bool render_special = false) const = 0;
  /// decode(encode(x)) == x for any bytes the vocabulary can express. This is token_bytes of all
  /// tokens, without the space that encode puts before a text where the file says so.
  virtual std::string decode(const std::vector<Token>& tokens, bool render_special = false) const;

  Token vocab_size() const noexcept { return vocab_size_; }
  std::optional<Token> bos() const noexcept { return bos_; }
  std::optional<Token> eos() const noexcept { return eos_; }
  bool add_bos() const noexcept { return add_bos_; }
  bool add_eos() const noexcept { return add_eos_; }
  /// What stands in front of a text and behind it, where the file asks for BOS and EOS.
  std::optional<Token> prefix() const noexcept { return add_bos_ ? bos_ : std::nullopt; }
  std::optional<Token> suffix() const noexcept { return add_eos_ ? eos_ : std::nullopt; }
  /// Whether generation ends at this token (EOS, EOT, end of message, by id or by known text).
  bool is_end_of_generation(Token token) const noexcept;
  /// "gpt2" or "llama", and the pre-tokenizer's name ("" for SPM).
  const std::string& model_name() const noexcept { return model_name_; }
  const std::string& pre_name() const noexcept { return pre_name_; }

 protected:
  Token vocab_size_ = 0;
  std::optional<Token> bos_;
  std::optional<Token> eos_;
  bool add_bos_ = false;
  bool add_eos_ = false;
  std::vector<bool> end_of_generation_;
  std::string model_name_;
  std::string pre_name_;
};

}  // namespace quant
