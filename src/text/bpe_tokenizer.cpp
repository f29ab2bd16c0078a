#include "text/bpe_tokenizer.h"

#include <fmt/format.h>

#include <optional>

#include "gguf/cursor.h"
#include "quant/error.h"
#include "text/escape.h"
#include "text/utf8.h"

namespace quant {
namespace {

constexpr std::string_view kMerges = "tokenizer.ggml.merges";

/// GPT-2's alphabet: bytes that are printable in Latin-1 stand for themselves, the others for the
/// code points from U+0100 on, in order.
struct ByteAlphabet {
  std::array<char32_t, 256> code_points{};
  std::array<int, 0x144> bytes{};  ///< -1 for code points that are not in the alphabet
};

constexpr ByteAlphabet make_byte_alphabet() {
  ByteAlphabet alphabet;
  for (int& byte : alphabet.bytes) byte = -1;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable_byte = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    const char32_t c = printable_byte ? static_cast<char32_t>(byte) : next++;
    alphabet.code_points[static_cast<std::size_t>(byte)] = c;
    alphabet.bytes[c] = byte;
  }
  return alphabet;
}
constexpr ByteAlphabet kAlphabet = make_byte_alphabet();

std::string to_alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    append_utf8(text, kAlphabet.code_points[static_cast<unsigned char>(byte)]);
  }
  return text;
}

std::uint64_t pair_key(Token left, Token right) noexcept {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

}  // namespace

std::size_t BpeTokenizer::PairHash::operator()(std::uint64_t pair) const noexcept {
  pair ^= pair >> 32;
  pair *= 0x9E3779B97F4A7C15u;
  return pair ^ pair >> 29;
}

BpeTokenizer::BpeTokenizer(const GgufFile& file, const PreTokenizerSpec& spec)
    : VocabularyTokenizer(file, {}, spec.add_bos), spec_(&spec), pre_tokenizer_(spec) {
  model_name_ = "gpt2";
  pre_name_ = spec.name;
  for (int i = 0; i < 256; ++i) {
    const char byte = static_cast<char>(i);
    byte_tokens_[static_cast<std::size_t>(i)] =
        spec.raw_text ? vocabulary().find_byte(static_cast<std::uint8_t>(i))
                      : vocabulary().find(to_alphabet({&byte, 1}));
  }
  read_merges(file);
}

void BpeTokenizer::read_merges(const GgufFile& file) {
  const auto fail = [&](const std::string& problem) {
    throw Error(ErrorKind::kModel, fmt::format("{}: {}", file.path(), problem));
  };
  const auto* merges = file.get_strings(kMerges);
  if (merges == nullptr) fail(fmt::format("metadata {} is missing", kMerges));
  merges_.reserve(merges->size());
  std::string joined;
  std::int32_t rank = 0;
  for (const std::string_view merge : *merges) {
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      fail(fmt::format("entry {} of {}, '{}', is not a pair", rank, kMerges, printable(merge)));
    }
    const std::string_view first = merge.substr(0, space);
    const std::string_view second = merge.substr(space + 1);
    joined.assign(first).append(second);
    const Token left = vocabulary().find(first);
    const Token right = vocabulary().find(second);
    const Token token = vocabulary().find(joined);
    if (left == kNoToken || right == kNoToken || token == kNoToken) {
      fail(fmt::format("entry {} of {}, '{}', has a part or result that is no token", rank, kMerges,
                       printable(merge)));
    }
    // Of a pair that comes twice, the first counts.
    merges_.emplace(pair_key(left, right), Result{rank, token});
    ++rank;
  }
}

void BpeTokenizer::encode_text(std::string_view text, bool, std::vector<Token>& out) const {
  if (!spec_->raw_text) return encode_pieces(text, out);
  for (const std::string_view stretch : split_at_escaped_spaces(text)) {
    if (stretch == kEscapedSpace) {
      append_bytes(stretch, out);
    } else {
      encode_pieces(escape_spaces(stretch), out);
    }
  }
}

void BpeTokenizer::encode_pieces(std::string_view text, std::vector<Token>& out) const {
  std::vector<Symbol> symbols;
  std::size_t begin = 0;
  for (const std::size_t end : pre_tokenizer_.split(text)) {
    encode_piece(text.substr(begin, end - begin), symbols, out);
    begin = end;
  }
}

void BpeTokenizer::append_bytes(std::string_view bytes, std::vector<Token>& out) const {
  for (const char byte : bytes) {
    const Token token = byte_tokens_[static_cast<unsigned char>(byte)];
    if (token != kNoToken) out.push_back(token);
  }
}

Token BpeTokenizer::find_whole(std::string_view piece) const {
  const bool newlines = spec_->newline_tokens && piece.front() == '\n';
  if (!spec_->ignore_merges && !newlines) return kNoToken;
  return vocabulary().find(spec_->raw_text ? piece : to_alphabet(piece));
}

void BpeTokenizer::append_symbols(std::string_view piece, std::vector<Symbol>& symbols) const {
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t size = spec_->raw_text ? decode_utf8(piece, at).size : 1;
    append_symbol(symbols, at, size,
                  spec_->raw_text ? vocabulary().find(piece.substr(at, size))
                                  : byte_tokens_[static_cast<unsigned char>(piece[at])]);
    at += size;
  }
}

void BpeTokenizer::encode_piece(std::string_view piece, std::vector<Symbol>& symbols,
                                std::vector<Token>& out) const {
  if (const Token token = find_whole(piece); token != kNoToken) {
    out.push_back(token);
    return;
  }
  symbols.clear();
  append_symbols(piece, symbols);
  merge_symbols(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
    const auto it = merges_.find(pair_key(left.token, right.token));
    if (it == merges_.end()) return std::nullopt;
    return Merge{static_cast<double>(it->second.rank), it->second.token};
  });
  for (const Symbol& symbol : symbols) {
    if (symbol.size == 0) continue;
    if (symbol.token != kNoToken) {
      out.push_back(symbol.token);
    } else {
      append_bytes(piece.substr(symbol.begin, symbol.size), out);
    }
  }
}

std::string BpeTokenizer::bytes_of_text(std::string_view text) const {
  if (spec_->raw_text) return unescape_spaces(text);
  std::string bytes;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    const int byte =
        c.valid && c.code_point < kAlphabet.bytes.size() ? kAlphabet.bytes[c.code_point] : -1;
    if (byte >= 0) {
      bytes += static_cast<char>(byte);
    } else {
      bytes += text.substr(at, c.size);  // not in the alphabet: text as it is
    }
    at += c.size;
  }
  return bytes;
}

}  // namespace quant
