#include "chat.h"

#include "measure.h"
#include "quant/error.h"
#include "quant/score.h"

namespace quant::tool {

ChatFormat require_chat_format(const Model& model) {
  const auto format = detect_chat_format(model.chat_template());
  if (format.has_value()) return *format;
  throw Error(ErrorKind::kUsage, "--chat: the model has no chat template that quant knows");
}

std::vector<Token> prompt_tokens(const Model& model, const std::string& prompt, bool chat) {
  std::vector<TextPiece> pieces = {{prompt}};
  if (chat) pieces = render_user_message(require_chat_format(model), prompt);
  std::vector<Token> tokens = encode_context(model.tokenizer(), pieces);
  if (tokens.empty()) throw Error(ErrorKind::kUsage, "the prompt is empty");
  const Tokenizer& tokenizer = model.tokenizer();
  warn_of_lost_bytes(tokenizer, tokenizer.encode(prompt), prompt, "the prompt");
  return tokens;
}

}  // namespace quant::tool
