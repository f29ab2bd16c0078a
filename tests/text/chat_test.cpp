#include "quant/chat.h"

#include <gtest/gtest.h>

namespace quant {
namespace {

TEST(Chat, FormatIsFoundInTheTemplate) {
  EXPECT_EQ(detect_chat_format("{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
                               "'<|im_end|>' + '\\n'}}"),
            ChatFormat::kChatMl);
  EXPECT_EQ(
      detect_chat_format("'<|start_header_id|>' + message['role'] + "
                         "'<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>'"),
      ChatFormat::kLlama3);
  EXPECT_EQ(detect_chat_format("'<start_of_turn>' + role + '\\n' ... '<end_of_turn>\\n'"),
            ChatFormat::kGemma);
  EXPECT_EQ(detect_chat_format("'[INST] ' + message['content'] + ' [/INST]'"),
            ChatFormat::kMistral);
  EXPECT_EQ(detect_chat_format("'<|user|>' + '\\n' + message['content'] + '<|end|>' + '\\n' + "
                               "'<|assistant|>' + '\\n'"),
            ChatFormat::kPhi3);
}

TEST(Chat, OtherTemplatesAreNotTakenForOneOfOurs) {
  EXPECT_EQ(detect_chat_format(""), std::nullopt);
  EXPECT_EQ(detect_chat_format("{{ message['content'] }}"), std::nullopt);
  // Phi-4 separates the role with another token; Mistral v7 has a system prompt of its own.
  EXPECT_EQ(detect_chat_format("'<|im_start|>user<|im_sep|>' + content + '<|im_end|>'"),
            std::nullopt);
  EXPECT_EQ(detect_chat_format("[SYSTEM_PROMPT]x[/SYSTEM_PROMPT][INST]y[/INST]"), std::nullopt);
}

TEST(Chat, MessageIsRenderedWithWhatMakesTheModelAnswer) {
  EXPECT_EQ(render_user_message(ChatFormat::kChatMl, " Hi\n"),
            "<|im_start|>user\n Hi\n<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render_user_message(ChatFormat::kLlama3, " Hi\n"),
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(render_user_message(ChatFormat::kGemma, " Hi\n"),
            "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(render_user_message(ChatFormat::kMistral, "Hi"), "[INST] Hi [/INST]");
  EXPECT_EQ(render_user_message(ChatFormat::kPhi3, "Hi"), "<|user|>\nHi<|end|>\n<|assistant|>\n");
  EXPECT_EQ(render_user_message(ChatFormat::kGemma, " \n "),
            "<start_of_turn>user\n<end_of_turn>\n<start_of_turn>model\n");
}

}  // namespace
}  // namespace quant
