#include "text/spm_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "quant/error.h"
#include "text/escape.h"
#include "text/merge.h"

namespace quant {
namespace {

/// Bytes of a character by its first byte alone: SentencePiece's symbols for bytes that are not
/// UTF-8 are as long as the first byte promises.
std::size_t promised_size(char lead) noexcept {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

}  // namespace

SpmTokenizer::SpmTokenizer(const GgufFile& file)
    : VocabularyTokenizer(file, {.bos = 1, .eos = 2, .unknown = 0}, true),
      add_space_prefix_(file.get_bool("tokenizer.ggml.add_space_prefix").value_or(true)) {
  model_name_ = "llama";
  if (!vocabulary().has_scores()) {
    throw Error(ErrorKind::kModel,
                fmt::format("{}: metadata tokenizer.ggml.scores is missing", file.path()));
  }
  for (int i = 0; i < 256; ++i) {
    const char byte = static_cast<char>(i);
    Token token = vocabulary().find_byte(static_cast<std::uint8_t>(i));
    if (token == kNoToken) token = vocabulary().find({&byte, 1});
    if (token == kNoToken && unknown() == kNoToken) {
      throw Error(ErrorKind::kModel,
                  fmt::format("{}: the vocabulary has neither a token <0x{:02X}> nor one for what "
                              "is unknown",
                              file.path(), i));
    }
    byte_tokens_[static_cast<std::size_t>(i)] = token;
  }
}

void SpmTokenizer::encode_text(std::string_view text, bool starts, std::vector<Token>& out) const {
  std::string escaped = escape_spaces(text);
  if (starts && add_space_prefix_) escaped.insert(0, kEscapedSpace);
  std::vector<Symbol> symbols;
  for (std::size_t at = 0; at < escaped.size();) {
    const std::size_t size = std::min(promised_size(escaped[at]), escaped.size() - at);
    append_symbol(symbols, at, size, vocabulary().find({escaped.data() + at, size}));
    at += size;
  }
  merge_symbols(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
    const std::size_t size = left.size + right.size;
    if (size > vocabulary().longest()) return std::nullopt;
    const Token token = vocabulary().find({escaped.data() + left.begin, size});
    if (token == kNoToken) return std::nullopt;
    return Merge{-static_cast<double>(vocabulary().score(token)), token};
  });
  for (const Symbol& symbol : symbols) {
    if (symbol.size == 0) continue;
    if (symbol.token != kNoToken) {
      out.push_back(symbol.token);
    } else {
      append_bytes({escaped.data() + symbol.begin, symbol.size}, out);
    }
  }
}

void SpmTokenizer::append_bytes(std::string_view bytes, std::vector<Token>& out) const {
  for (const char byte : bytes) {
    const Token token = byte_tokens_[static_cast<unsigned char>(byte)];
    out.push_back(token == kNoToken ? unknown() : token);
  }
}

std::string SpmTokenizer::bytes_of_text(std::string_view text) const {
  return unescape_spaces(text);
}

std::string SpmTokenizer::decode(const std::vector<Token>& tokens, bool render_special) const {
  std::string text;
  bool starts = true;
  for (const Token token : tokens) {
    std::string bytes = token_bytes(token, render_special);
    const bool special =
        vocabulary().attributes(token) & (kTokenControl | kTokenUserDefined | kTokenUnknown);
    // The space that encode_text put there.
    if (starts && !special && add_space_prefix_ && bytes.starts_with(' ')) bytes.erase(0, 1);
    text += bytes;
    starts = special;
  }
  return text;
}

}  // namespace quant
