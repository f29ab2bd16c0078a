// quant types, quant tokenize and quant MODEL --info.
#include <gtest/gtest.h>

#include <iterator>
#include <sstream>

#include "cli/command.h"
#include "quant/kv_spec.h"
#include "support/gguf_writer.h"
#include "support/reference.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

TEST(TypesCommand, ListsEveryFormat) {
  const CommandResult text = run_quant({"types"});
  expect_quiet_success(text);
  const CommandResult json = run_quant({"types", "--json"});
  expect_quiet_success(json);
  const nlohmann::json types = json.json()["types"];
  ASSERT_EQ(types.size(), kv_formats().size());
  for (std::size_t i = 0; i < types.size(); ++i) {
    const KvFormatInfo& format = kv_formats()[i];
    EXPECT_NE(text.out.find(format.name), std::string::npos);
    EXPECT_EQ(types[i]["name"], format.name);
    EXPECT_EQ(types[i]["bits_per_value"]["128"],
              static_cast<double>(format.row_bytes(128)) * 8.0 / 128.0);
  }
}

TEST(InfoCommand, DescribesTheModel) {
  const TempDir dir;
  const std::string path = write_tiny_model(dir.path(), tiny_spec("gemma3"));
  const CommandResult json = run_quant({path, "--info", "--json"});
  expect_quiet_success(json);
  const nlohmann::json r = json.json();
  EXPECT_EQ(r["architecture"], "gemma3");
  EXPECT_EQ(r["n_layers"], 3);
  EXPECT_EQ(r["key_dim"], 32);
  EXPECT_EQ(r["sliding_window"], 32);
  EXPECT_EQ(r["sliding_layers"], 2);
  EXPECT_EQ(r["context_length"], 512);
  EXPECT_EQ(r["tensor_types"]["F32"].get<int>() > 20, true);
  EXPECT_EQ(r["tokenizer"], "gpt2");
  const CommandResult text = run_quant({path, "--info"});
  expect_quiet_success(text);
  EXPECT_NE(text.out.find("gemma3"), std::string::npos);
  EXPECT_NE(text.out.find("MiB"), std::string::npos);
}

std::vector<Token> ids_in(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<Token>(in), {}};
}

class TokenizeCommand : public testing::Test {
 protected:
  TempDir dir;
  std::string model = write_tiny_model(dir.path(), {});
};

TEST_F(TokenizeCommand, IdsAlone) {
  const std::string text = (dir.path() / "text.txt").string();
  write_file(text, "ab!");
  CommandResult result = run_quant({"tokenize", model, text, "--ids"});
  expect_quiet_success(result);
  EXPECT_EQ(result.out, "256 97 98 33\n");
  result = run_quant({"tokenize", model, text, "--ids", "--no-bos"});
  EXPECT_EQ(result.out, "97 98 33\n");
}

TEST_F(TokenizeCommand, FromAPipe) {
  const CommandResult result =
      Command({"tokenize", model, "-", "--ids", "--no-bos"}).pipe_in("ab!").run();
  expect_quiet_success(result);
  EXPECT_EQ(result.out, "97 98 33\n");
  EXPECT_EQ(Command({"tokenize", model, "-", "--ids", "--no-bos"}).pipe_in("").run().out, "\n");
}

TEST_F(TokenizeCommand, SpecialTokensOnlyOnRequest) {
  const std::vector<std::string> base = {"tokenize", model, "-", "--ids", "--no-bos"};
  std::vector<std::string> special = base;
  special.push_back("--special");
  EXPECT_EQ(Command(special).pipe_in("a</s>b").run().out, "97 257 98\n");
  EXPECT_NE(Command(base).pipe_in("a</s>b").run().out, "97 257 98\n");
}

TEST_F(TokenizeCommand, TableAndJson) {
  const CommandResult table = Command({"tokenize", model, "-"}).pipe_in("a\n\xff").run();
  expect_quiet_success(table);
  EXPECT_EQ(std::count(table.out.begin(), table.out.end(), '\n'), 4);
  const CommandResult json = Command({"tokenize", model, "-", "--json"}).pipe_in("ab!").run();
  expect_quiet_success(json);
  EXPECT_EQ(json.json()["ids"], (std::vector<int>{256, 97, 98, 33}));
  EXPECT_EQ(json.json()["count"], 4);
}

TEST_F(TokenizeCommand, BytesWithoutATokenAreToldOf) {
  GgufWriter vocabulary;
  vocabulary.add("general.architecture", "llama")
      .add("tokenizer.ggml.model", "gpt2")
      .add("tokenizer.ggml.pre", "gpt-2")
      .add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"})
      .add("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1})
      .add("tokenizer.ggml.merges", std::vector<std::string>{});
  const std::string path = (dir.path() / "vocabulary.gguf").string();
  vocabulary.write(path);
  const CommandResult result = Command({"tokenize", path, "-", "--ids"}).pipe_in("ab\xff").run();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "0 1\n");
  EXPECT_NE(result.err.find("standard input: 1 of 3 bytes have no token"), std::string::npos)
      << result.err;
}

TEST_F(TokenizeCommand, VocabularyOnlyFiles) {
  const auto files = shared_dir() / "ref" / "tokenizers";
  QUANT_REQUIRE_PATH(files);
  constexpr std::string_view kBetween = "\n__ggml_vocab_test__\n";
  for (const char* name : {"gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"}) {
    const std::string path = (files / ("ggml-vocab-" + std::string(name) + ".gguf")).string();
    // The library's own tests go through all texts; here it is the command, with the last one.
    std::string texts = read_file(path + ".inp");
    texts.resize(texts.rfind(kBetween));
    const std::string text = texts.substr(texts.rfind(kBetween) + kBetween.size());
    const CommandResult result =
        Command({"tokenize", path, "-", "--ids", "--no-bos"}).pipe_in(text).run();
    expect_quiet_success(result);
    std::istringstream all(read_file(path + ".out"));
    std::string line;
    std::string last;
    while (std::getline(all, line)) last = line;
    EXPECT_EQ(ids_in(result.out), ids_in(last)) << name;
    EXPECT_FALSE(ids_in(last).empty());
  }
}

TEST_F(TokenizeCommand, RealModelsGiveTheReferenceIds) {
  const auto text = shared_dir() / "text" / "wiki_1k.txt";
  QUANT_REQUIRE_PATH(text);
  for (const char* name : {"smollm2-135m", "gemma-3-270m-q4_k_m", "qwen2.5-0.5b"}) {
    const auto model_path = models_dir() / (std::string(name) + ".gguf");
    QUANT_REQUIRE_PATH(model_path);
    const CommandResult result =
        run_quant({"tokenize", model_path.string(), text.string(), "--ids"});
    expect_quiet_success(result);
    std::string expected;
    for (const Token id :
         read_ids(shared_dir() / "ref" / "real" / (std::string(name) + ".1k.ids"))) {
      if (!expected.empty()) expected += ' ';
      expected += std::to_string(id);
    }
    EXPECT_EQ(result.out, expected + "\n") << name;
  }
}

}  // namespace
}  // namespace quant::test
