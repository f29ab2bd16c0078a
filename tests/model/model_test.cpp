// A model file as a whole: config, tokenizer and weights agree.
#include "quant/model.h"

#include <gtest/gtest.h>

#include "model/weights.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

class ModelTest : public testing::Test {
 protected:
  std::string write(const GgufWriter& writer) {
    const auto path = dir_.path() / "model.gguf";
    writer.write(path);
    return path.string();
  }

  TempDir dir_;
};

TEST_F(ModelTest, LoadsEveryArchitecture) {
  for (const std::string architecture : {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"}) {
    const std::string path = write_tiny_model(dir_.path(), tiny_spec(architecture));
    const auto model = Model::load(path);
    EXPECT_EQ(model->path(), path);
    EXPECT_EQ(model->config().architecture, architecture);
    EXPECT_EQ(model->tokenizer().vocab_size(), 288);
    EXPECT_EQ(model->tokenizer().bos(), 256);
    EXPECT_EQ(model->weights().layers.size(), model->config().layers.size());
    EXPECT_EQ(model->chat_template(), "");
  }
}

TEST_F(ModelTest, TinyTokenizerKnowsEveryByteAndItsPairs) {
  const auto model = Model::load(write_tiny_model(dir_.path(), tiny_spec("llama")));
  const Tokenizer& tokenizer = model->tokenizer();
  std::string text;
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  for (Token byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(tokenizer.token_bytes(byte), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(tokenizer.encode("th"), std::vector<Token>{258});
}

TEST_F(ModelTest, CountsBytesAndParameters) {
  TinyModelSpec spec = tiny_spec("llama");
  spec.n_layers = 1;
  const std::uint64_t matrices = 288 * 64 + (64 + 32 + 32 + 64) * 64 + 3 * 128 * 64;
  const std::uint64_t norms = 3 * 64;
  const auto f32 = Model::load(write(tiny_model(spec)));
  EXPECT_EQ(f32->parameters(), matrices + norms);
  EXPECT_EQ(f32->weight_bytes(), 4 * (matrices + norms));
  spec.weight_type = TensorType::kQ8_0;
  const auto q8 = Model::load(write(tiny_model(spec)));
  EXPECT_EQ(q8->parameters(), matrices + norms);
  EXPECT_EQ(q8->weight_bytes(), matrices / 32 * 34 + 4 * norms);
}

TEST_F(ModelTest, ChatTemplateIsTheFilesOwn) {
  const auto model = Model::load(
      write(tiny_model(tiny_spec("llama")).add("tokenizer.chat_template", "{{ messages }}")));
  EXPECT_EQ(model->chat_template(), "{{ messages }}");
}

TEST_F(ModelTest, EmbeddingsMustCoverTheVocabulary) {
  GgufWriter writer = tiny_model(tiny_spec("llama"));
  writer.remove_tensor("token_embd.weight")
      .add_tensor("token_embd.weight", {64, 272}, std::vector<float>(64 * 272));
  expect_error(ErrorKind::kModel,
               "the tokenizer has 288 tokens, but token_embd.weight only 272 rows",
               [&] { Model::load(write(writer)); });
  writer.remove_tensor("token_embd.weight")
      .add_tensor("token_embd.weight", {64, 304}, std::vector<float>(64 * 304));
  EXPECT_EQ(Model::load(write(writer))->config().n_vocab, 304);
}

TEST_F(ModelTest, SplitModelsLoadAsOne) {
  const GgufWriter writer = tiny_model(tiny_spec("qwen2"));
  const auto whole = Model::load(write(writer));
  const auto split = Model::load(writer.write_split(dir_.path(), "split", 4).front().string());
  EXPECT_EQ(split->parameters(), whole->parameters());
  EXPECT_EQ(split->weight_bytes(), whole->weight_bytes());
}

TEST_F(ModelTest, AModelOutlivesTheName) {
  const std::string path = write_tiny_model(dir_.path(), tiny_spec("llama"));
  const auto model = Model::load(path);
  std::filesystem::remove(path);
  EXPECT_GT(model->weights().output_norm[0], 0.0f);
}

TEST(ModelFilesTest, MissingFileIsAnIoError) {
  expect_error(ErrorKind::kIo, "/nowhere/model.gguf", [] { Model::load("/nowhere/model.gguf"); });
}

TEST(ModelFilesTest, ReferenceModelsLoadWhole) {
  QUANT_REQUIRE_PATH(shared_dir() / "ref" / "tiny");
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shared_dir() / "ref" / "tiny")) {
    if (entry.path().extension() != ".gguf") continue;
    SCOPED_TRACE(entry.path().string());
    EXPECT_EQ(Model::load(entry.path().string())->tokenizer().vocab_size(), 512);
    ++count;
  }
  EXPECT_EQ(count, 18);
}

TEST(ModelFilesTest, RealModelsLoadWhole) {
  QUANT_REQUIRE_PATH(models_dir());
  for (const auto& [name, parameters] : {std::pair{"smollm2-135m.gguf", 134515008u},
                                         std::pair{"gemma-3-270m-q4_k_m.gguf", 268098176u}}) {
    QUANT_REQUIRE_PATH(models_dir() / name);
    const auto model = Model::load((models_dir() / name).string());
    EXPECT_EQ(model->parameters(), parameters) << name;
    EXPECT_LT(model->weight_bytes(), model->parameters() * 2) << name;
  }
}

}  // namespace
}  // namespace quant::test
