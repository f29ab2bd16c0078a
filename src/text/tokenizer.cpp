#include "quant/tokenizer.h"

#include <fmt/format.h>

#include <string>

#include "gguf/cursor.h"
#include "gguf/gguf.h"
#include "quant/error.h"
#include "text/bpe_tokenizer.h"
#include "text/pre_tokenizer.h"
#include "text/spm_tokenizer.h"

namespace quant {

std::unique_ptr<const Tokenizer> Tokenizer::from_gguf(const GgufFile& file) {
  const std::string_view model = file.require_string("tokenizer.ggml.model");
  std::string_view pre = file.get_string("tokenizer.ggml.pre").value_or("");
  if (pre.empty()) pre = "default";
  if (model == "llama") return std::make_unique<SpmTokenizer>(file);
  if (model == "gpt2") return std::make_unique<BpeTokenizer>(file, find_pre_tokenizer(pre));
  if (model == "gemma4") return std::make_unique<BpeTokenizer>(file, find_pre_tokenizer(model));
  throw Error(ErrorKind::kModel,
              fmt::format("{}: tokenizer model '{}' is not supported; known are gpt2 (byte-pair "
                          "encoding), llama (SentencePiece with scores) and gemma4",
                          file.path(), printable(model)));
}

std::unique_ptr<const Tokenizer> Tokenizer::load(const std::string& path) {
  return from_gguf(GgufFile::open(path));
}

std::string Tokenizer::decode(const std::vector<Token>& tokens, bool render_special) const {
  std::string text;
  for (const Token token : tokens) text += token_bytes(token, render_special);
  return text;
}

bool Tokenizer::is_end_of_generation(Token token) const noexcept {
  const auto i = static_cast<std::size_t>(token);
  return token >= 0 && i < end_of_generation_.size() && end_of_generation_[i];
}

}  // namespace quant
