#include "text/vocabulary_tokenizer.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "quant/error.h"

namespace quant {

VocabularyTokenizer::VocabularyTokenizer(const GgufFile& file, const SpecialDefaults& defaults,
                                         bool add_bos)
    : vocabulary_(file), splitter_([&]() -> const Vocabulary& {
        // Attributes must be right before the splitter looks at them.
        SpecialTokens special = find_special_tokens(file, vocabulary_, defaults);
        bos_ = special.bos;
        eos_ = special.eos;
        unknown_ = special.unknown.value_or(kNoToken);
        end_of_generation_ = std::move(special.end_of_generation);
        return vocabulary_;
      }()) {
  vocab_size_ = vocabulary_.size();
  add_bos_ = bos_ && file.get_bool("tokenizer.ggml.add_bos_token").value_or(add_bos);
  add_eos_ = eos_ && file.get_bool("tokenizer.ggml.add_eos_token").value_or(false);
}

std::vector<Token> VocabularyTokenizer::encode(std::string_view text, bool parse_special) const {
  const Stretch whole{0, text.size()};
  return encode_parsed(text, {&whole, parse_special ? std::size_t{1} : std::size_t{0}});
}

std::vector<Token> VocabularyTokenizer::encode(std::span<const TextPiece> pieces) const {
  std::string text;
  std::vector<Stretch> parsed;
  for (const TextPiece& piece : pieces) {
    if (piece.parse_special) parsed.push_back({text.size(), text.size() + piece.text.size()});
    text += piece.text;
  }
  return encode_parsed(text, parsed);
}

std::vector<Token> VocabularyTokenizer::encode_parsed(std::string_view text,
                                                      std::span<const Stretch> parsed) const {
  // Symbols are numbered with 32 bits, and escaping a space makes three bytes of one.
  if (text.size() > std::numeric_limits<std::int32_t>::max() / 4) {
    throw Error(ErrorKind::kUsage,
                fmt::format("a text of {} bytes is too long for one call", text.size()));
  }
  std::vector<Token> tokens;
  bool starts = true;
  for (const Fragment& fragment : splitter_.split(text, parsed)) {
    if (fragment.token == kNoToken) {
      encode_text(fragment.text, starts, tokens);
    } else {
      tokens.push_back(fragment.token);
    }
    starts = fragment.token != kNoToken;
  }
  return tokens;
}

std::string VocabularyTokenizer::token_bytes(Token token, bool render_special) const {
  if (token < 0 || token >= vocabulary_.size()) {
    throw Error(ErrorKind::kUsage, fmt::format("token {} is not in the vocabulary of {} tokens",
                                               token, vocabulary_.size()));
  }
  std::string text(vocabulary_.text(token));
  const int attributes = vocabulary_.attributes(token);
  if (attributes & (kTokenControl | kTokenUnknown)) return render_special ? text : "";
  if (attributes & kTokenUserDefined) return text;
  if (attributes & kTokenNormal) return bytes_of_text(text);
  if (attributes & kTokenByte) return std::string(1, vocabulary_.byte(token));
  return "";
}

}  // namespace quant
