#include "quant/chat.h"

#include <algorithm>

namespace quant {
namespace {

struct FormatRow {
  ChatFormat format;
  std::string_view markers[2];  ///< all are in the template
  std::string_view excluded;    ///< and this, if not empty, is not: a near relative's marker
  std::string_view before;
  std::string_view after;
  bool trim;  ///< the template takes white space around the message away
};

/// Rows of enum order; the first that fits a template is its format. Texts as in the models' own
/// templates.
constexpr FormatRow kFormats[] = {
    {ChatFormat::kChatMl,
     {"<|im_start|>", "<|im_end|>"},
     "<|im_sep|>",
     "<|im_start|>user\n",
     "<|im_end|>\n<|im_start|>assistant\n",
     false},
    {ChatFormat::kLlama3,
     {"<|start_header_id|>", "<|end_header_id|>"},
     "",
     "<|start_header_id|>user<|end_header_id|>\n\n",
     "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
     true},
    {ChatFormat::kGemma,
     {"<start_of_turn>", "<end_of_turn>"},
     "",
     "<start_of_turn>user\n",
     "<end_of_turn>\n<start_of_turn>model\n",
     true},
    {ChatFormat::kMistral, {"[INST]", "[/INST]"}, "[SYSTEM_PROMPT]", "[INST] ", " [/INST]", false},
    {ChatFormat::kPhi3,
     {"<|assistant|>", "<|end|>"},
     "",
     "<|user|>\n",
     "<|end|>\n<|assistant|>\n",
     false},
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";
  const std::size_t first = std::min(text.find_first_not_of(kWhiteSpace), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(kWhiteSpace) + 1);
}

}  // namespace

std::optional<ChatFormat> detect_chat_format(std::string_view chat_template) {
  const auto mentions = [&](std::string_view text) {
    return chat_template.find(text) != std::string_view::npos;
  };
  for (const FormatRow& row : kFormats) {
    if (std::ranges::all_of(row.markers, mentions) &&
        (row.excluded.empty() || !mentions(row.excluded))) {
      return row.format;
    }
  }
  return std::nullopt;
}

std::vector<TextPiece> render_user_message(ChatFormat format, std::string_view message) {
  const FormatRow& row = kFormats[static_cast<std::size_t>(format)];
  return {{std::string(row.before), true},
          {std::string(row.trim ? trim(message) : message), false},
          {std::string(row.after), true}};
}

}  // namespace quant
