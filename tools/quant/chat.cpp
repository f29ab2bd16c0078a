#include "chat.h"

#include "quant/error.h"

namespace quant::tool {

ChatFormat require_chat_format(const Model& model) {
  const auto format = detect_chat_format(model.chat_template());
  if (format.has_value()) return *format;
  throw Error(ErrorKind::kUsage, "--chat: the model has no chat template that quant knows");
}

}  // namespace quant::tool
