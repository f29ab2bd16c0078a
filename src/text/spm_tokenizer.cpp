#include "text/spm_tokenizer.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

#include "quant/error.h"
#include "text/escape.h"
#include "text/merge.h"
#include "text/utf8.h"

namespace quant {

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
  bool prefix = starts && add_space_prefix_;
  for (const std::string_view stretch : split_at_escaped_spaces(text)) {
    if (stretch == kEscapedSpace) {
      append_bytes(stretch, out);
      continue;
    }
    std::string escaped = escape_spaces(stretch);
    if (prefix) escaped.insert(0, kEscapedSpace);
    prefix = false;
    encode_escaped(escaped, out);
  }
}

void SpmTokenizer::encode_escaped(std::string_view text, std::vector<Token>& out) const {
  std::vector<Symbol> symbols;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = decode_utf8(text, at).size;
    append_symbol(symbols, at, size, vocabulary().find(text.substr(at, size)));
    at += size;
  }
  merge_symbols(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
    const std::size_t size = left.size + right.size;
    if (size > vocabulary().longest()) return std::nullopt;
    const Token token = vocabulary().find(text.substr(left.begin, size));
    if (token == kNoToken) return std::nullopt;
    return Merge{-static_cast<double>(vocabulary().score(token)), token};
  });
  for (const Symbol& symbol : symbols) {
    if (symbol.size == 0) continue;
    if (symbol.token != kNoToken) {
      out.push_back(symbol.token);
    } else {
      append_bytes(text.substr(symbol.begin, symbol.size), out);
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
