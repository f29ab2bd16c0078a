// Token ids of real vocabularies against those of llama.cpp (material beside the project).
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "quant/tokenizer.h"
#include "support/gguf_writer.h"
#include "support/paths.h"

namespace quant {
namespace {

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (true) {
    const std::size_t next = text.find(separator, at);
    parts.push_back(text.substr(at, next - at));
    if (next == std::string::npos) return parts;
    at = next + separator.size();
  }
}

std::vector<Token> parse_ids(const std::string& line) {
  std::istringstream stream(line);
  std::vector<Token> ids;
  for (Token id = 0; stream >> id;) ids.push_back(id);
  return ids;
}

class VocabularyFile : public testing::TestWithParam<std::string> {};

TEST_P(VocabularyFile, TokenIdsAreThoseOfLlamaCpp) {
  const auto path = test::shared_dir() / "ref" / "tokenizers" / (GetParam() + ".gguf");
  QUANT_REQUIRE_PATH(path);
  const auto tokenizer = Tokenizer::load(path);
  const auto texts = split(test::read_file(path.string() + ".inp"), "\n__ggml_vocab_test__\n");
  const auto lines = split(test::read_file(path.string() + ".out"), "\n");
  ASSERT_GT(texts.size(), 40u);
  ASSERT_GE(lines.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer->encode(texts[i]), parse_ids(lines[i])) << "text " << i << ": " << texts[i];
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(texts[i])), texts[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, VocabularyFile,
                         testing::Values("ggml-vocab-gpt-2", "ggml-vocab-llama-bpe",
                                         "ggml-vocab-llama-spm", "ggml-vocab-phi-3",
                                         "ggml-vocab-qwen2"),
                         [](const auto& instance) {
                           std::string name = instance.param.substr(11);
                           std::erase(name, '-');
                           return name;
                         });

class RealModel : public testing::TestWithParam<std::string> {};

TEST_P(RealModel, TokenIdsOfATextAreThoseOfLlamaCpp) {
  const auto model = test::models_dir() / (GetParam() + ".gguf");
  const auto text_path = test::shared_dir() / "text" / "wiki_1k.txt";
  QUANT_REQUIRE_PATH(model);
  QUANT_REQUIRE_PATH(text_path);
  const auto tokenizer = Tokenizer::load(model);
  const std::string text = test::read_file(text_path);
  std::vector<Token> ids = tokenizer->encode(text);
  EXPECT_EQ(tokenizer->decode(ids), text);
  if (tokenizer->add_bos()) ids.insert(ids.begin(), *tokenizer->bos());
  EXPECT_EQ(ids, parse_ids(test::read_file(test::shared_dir() / "ref" / "real" /
                                           (GetParam() + ".1k.ids"))));
}

INSTANTIATE_TEST_SUITE_P(All, RealModel,
                         testing::Values("smollm2-135m", "gemma-3-270m-q4_k_m", "qwen2.5-0.5b"),
                         [](const auto& instance) {
                           return instance.param.substr(0, instance.param.find_first_of("-."));
                         });

}  // namespace
}  // namespace quant
