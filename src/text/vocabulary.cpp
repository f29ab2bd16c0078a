#include "text/vocabulary.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "gguf/cursor.h"
#include "quant/error.h"

namespace quant {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kScores = "tokenizer.ggml.scores";

[[noreturn]] void fail(const GgufFile& file, const std::string& problem) {
  throw Error(ErrorKind::kModel, fmt::format("{}: {}", file.path(), problem));
}

void check_count(const GgufFile& file, std::string_view key, std::size_t count,
                 std::size_t tokens) {
  if (count != tokens) {
    fail(file, fmt::format("{} has {} entries, but there are {} tokens", key, count, tokens));
  }
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool is_byte_text(std::string_view text) noexcept {
  return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' && hex_digit(text[3]) >= 0 &&
         hex_digit(text[4]) >= 0;
}

/// Attributes of a type number of the GGUF specification; unused and unknown numbers have none.
std::uint8_t attributes_of_type(std::int64_t type) noexcept {
  switch (type) {
    case 1:
      return kTokenNormal;
    case 2:
      return kTokenUnknown;
    case 3:
      return kTokenControl;
    case 4:
      return kTokenUserDefined;
    case 6:
      return kTokenByte;
    default:
      return 0;
  }
}

}  // namespace

Vocabulary::Vocabulary(const GgufFile& file) {
  read_texts(file);
  read_types(file);
  read_scores(file);
}

void Vocabulary::read_texts(const GgufFile& file) {
  const auto* tokens = file.get_strings(kTokens);
  if (tokens == nullptr) fail(file, fmt::format("metadata {} is missing", kTokens));
  if (tokens->empty() || tokens->size() > std::numeric_limits<Token>::max()) {
    fail(file, fmt::format("{} has {} entries", kTokens, tokens->size()));
  }
  ends_.reserve(tokens->size() + 1);
  ends_.push_back(0);
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    const std::string stand_in = (*tokens)[i].empty() ? fmt::format("[EMPTY_{}]", i) : "";
    const std::string_view text = stand_in.empty() ? (*tokens)[i] : stand_in;
    texts_.insert(texts_.end(), text.begin(), text.end());
    ends_.push_back(texts_.size());
    longest_ = std::max(longest_, text.size());
  }
  attributes_.assign(tokens->size(), kTokenNormal);
  by_text_.reserve(tokens->size());
  for (Token token = 0; token < size(); ++token) {
    const auto [it, is_new] = by_text_.emplace(text(token), token);
    if (!is_new) {
      fail(file, fmt::format("tokens {} and {} have the same text '{}'", it->second, token,
                             printable(text(token))));
    }
  }
}

void Vocabulary::read_types(const GgufFile& file) {
  const auto* types = file.get_ints(kTypes);
  if (types == nullptr) return;
  check_count(file, kTypes, types->size(), attributes_.size());
  for (Token token = 0; token < size(); ++token) {
    const std::uint8_t attributes = attributes_of_type((*types)[static_cast<std::size_t>(token)]);
    if (attributes == kTokenByte && !is_byte_text(text(token))) {
      fail(file, fmt::format("token {} has the type of a byte, but its text '{}' is not <0xXX>",
                             token, printable(text(token))));
    }
    set_attributes(token, attributes);
  }
}

void Vocabulary::read_scores(const GgufFile& file) {
  const MetadataValue* value = file.find(kScores);
  if (value == nullptr) return;
  const auto* array = std::get_if<MetadataArray>(value);
  if (array != nullptr && std::holds_alternative<std::vector<std::int64_t>>(array->values)) {
    for (const std::int64_t score : *file.get_ints(kScores)) {
      scores_.push_back(static_cast<float>(score));
    }
  } else {
    for (const double score : *file.get_floats(kScores)) {
      scores_.push_back(static_cast<float>(score));
    }
  }
  check_count(file, kScores, scores_.size(), attributes_.size());
  for (Token token = 0; token < size(); ++token) {
    if (!std::isfinite(score(token))) {
      fail(file, fmt::format("the score of token {} is not finite", token));
    }
  }
}

Token Vocabulary::find_byte(std::uint8_t byte) const {
  return find(fmt::format("<0x{:02X}>", byte));
}

char Vocabulary::byte(Token token) const noexcept {
  const std::string_view digits = text(token);
  return static_cast<char>(hex_digit(digits[3]) * 16 + hex_digit(digits[4]));
}

}  // namespace quant
