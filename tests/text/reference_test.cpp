// Token ids of real vocabularies against those of llama.cpp (material beside the project).
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
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

struct RealModelCase {
  const char* name;
  std::size_t tokens;  ///< of wikitext2_test.txt, counted by llama-tokenize
  std::uint64_t hash;  ///< and their FNV-1a hash
};

void PrintTo(const RealModelCase& c, std::ostream* out) { *out << c.name; }

std::uint64_t hash_ids(const std::vector<Token>& ids) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const Token id : ids) hash = (hash ^ static_cast<std::uint64_t>(id)) * 0x100000001B3u;
  return hash;
}

class RealModel : public testing::TestWithParam<RealModelCase> {
 protected:
  std::filesystem::path model() const {
    return test::models_dir() / (std::string(GetParam().name) + ".gguf");
  }
};

TEST_P(RealModel, TokenIdsOfATextAreThoseOfLlamaCpp) {
  const auto text_path = test::shared_dir() / "text" / "wiki_1k.txt";
  QUANT_REQUIRE_PATH(model());
  QUANT_REQUIRE_PATH(text_path);
  const auto tokenizer = Tokenizer::load(model());
  const std::string text = test::read_file(text_path);
  std::vector<Token> ids = tokenizer->encode(text);
  EXPECT_EQ(tokenizer->decode(ids), text);
  if (tokenizer->add_bos()) ids.insert(ids.begin(), *tokenizer->bos());
  const std::string golden = std::string(GetParam().name) + ".1k.ids";
  EXPECT_EQ(ids, parse_ids(test::read_file(test::shared_dir() / "ref" / "real" / golden)));
}

TEST_P(RealModel, TokenIdsOfALongTextAreThoseOfLlamaCpp) {
  const auto text_path = test::shared_dir() / "text" / "wikitext2_test.txt";
  QUANT_REQUIRE_PATH(model());
  QUANT_REQUIRE_PATH(text_path);
  const auto tokenizer = Tokenizer::load(model());
  const std::string text = test::read_file(text_path);
  const std::vector<Token> ids = tokenizer->encode(text);
  EXPECT_EQ(ids.size(), GetParam().tokens);
  EXPECT_EQ(hash_ids(ids), GetParam().hash);
  EXPECT_EQ(tokenizer->decode(ids), text);
}

INSTANTIATE_TEST_SUITE_P(
    All, RealModel,
    testing::Values(RealModelCase{"smollm2-135m", 301948, 0xE7A77AFF9F4DB8B5u},
                    RealModelCase{"gemma-3-270m-q4_k_m", 292281, 0xA67B4D0738440D71u},
                    RealModelCase{"qwen2.5-0.5b", 298938, 0xE679F40066F6FB5Bu}),
    [](const auto& instance) {
      const std::string name = instance.param.name;
      return name.substr(0, name.find_first_of("-."));
    });

}  // namespace
}  // namespace quant
