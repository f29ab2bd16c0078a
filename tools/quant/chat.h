// Prompts, raw and in the chat template of a model that was asked for with --chat.
#pragma once

#include <string>
#include <vector>

#include "quant/chat.h"
#include "quant/model.h"

namespace quant::tool {

/// Throws Error(kUsage) if the model has none that is known.
ChatFormat require_chat_format(const Model& model);

/// A prompt's tokens, with BOS where the model asks for it; with `chat` as a user's message in the
/// model's template. Throws Error(kUsage) if that is not known or there is nothing to continue.
std::vector<Token> prompt_tokens(const Model& model, const std::string& prompt, bool chat);

}  // namespace quant::tool
