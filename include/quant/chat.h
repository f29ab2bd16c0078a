// Prompts for instruction-tuned models, in the formats of the common chat templates.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "quant/tokenizer.h"

namespace quant {

enum class ChatFormat { kChatMl, kLlama3, kGemma, kMistral, kPhi3 };

/// The format of a chat template (tokenizer.chat_template), by the special texts it mentions;
/// nullopt if it is none of ours.
std::optional<ChatFormat> detect_chat_format(std::string_view chat_template);

/// One user message, and what makes the model answer it. Without BOS, which the tokenizer's add_bos
/// tells about. Special tokens are parsed in the template's own pieces alone: a message cannot end
/// its turn.
std::vector<TextPiece> render_user_message(ChatFormat format, std::string_view message);

}  // namespace quant
