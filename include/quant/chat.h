// Prompts for instruction-tuned models, in the formats of the common chat templates.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace quant {

enum class ChatFormat { kChatMl, kLlama3, kGemma, kMistral, kPhi3 };

/// The format of a chat template (tokenizer.chat_template), by the special texts it mentions;
/// nullopt if it is none of ours.
std::optional<ChatFormat> detect_chat_format(std::string_view chat_template);

/// One user message, and what makes the model answer it. Without BOS, which the tokenizer's add_bos
/// tells about; to be encoded with parse_special.
std::string render_user_message(ChatFormat format, std::string_view message);

}  // namespace quant
