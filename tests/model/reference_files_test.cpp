// The reference models and the real ones are understood.
#include <gtest/gtest.h>

#include <map>

#include "model/load.h"
#include "support/paths.h"

namespace quant::test {
namespace {

struct Expected {
  const char* architecture;
  int n_layers;
  int n_embd;
  int n_heads;
  int n_kv_heads;
  int key_dim;
  int n_vocab;
  double rope_base;
  bool tied;
};

void expect_config(const std::filesystem::path& path, const Expected& expected) {
  SCOPED_TRACE(path.string());
  const GgufFile file = GgufFile::open(path.string());
  const ConfigAndWeights model = load_config_and_weights(file);
  const ModelConfig& config = model.config;
  EXPECT_EQ(config.architecture, expected.architecture);
  EXPECT_EQ(config.n_layers, expected.n_layers);
  EXPECT_EQ(config.n_embd, expected.n_embd);
  EXPECT_EQ(config.n_heads, expected.n_heads);
  EXPECT_EQ(config.n_kv_heads, expected.n_kv_heads);
  EXPECT_EQ(config.key_dim, expected.key_dim);
  EXPECT_EQ(config.n_vocab, expected.n_vocab);
  EXPECT_EQ(config.ropes.front().base, expected.rope_base);
  EXPECT_EQ(model.weights.output.data == model.weights.embedding.data, expected.tied);
}

TEST(ReferenceFilesTest, TinyModels) {
  QUANT_REQUIRE_PATH(shared_dir() / "ref" / "tiny");
  const std::map<std::string, Expected> kFiles = {
      {"gemma2", {"gemma2", 2, 64, 4, 2, 16, 512, 1e4, true}},
      {"gemma3", {"gemma3", 2, 64, 4, 2, 32, 512, 1e6, true}},
      {"gemma3_swa", {"gemma3", 6, 64, 4, 2, 16, 512, 1e6, true}},
      {"llama", {"llama", 2, 64, 4, 2, 16, 512, 1e4, true}},
      {"llama3_ropefreqs", {"llama", 2, 128, 2, 1, 64, 512, 1e4, true}},
      {"llama_BF16", {"llama", 1, 256, 4, 2, 64, 512, 1e4, true}},
      {"llama_F32", {"llama", 1, 256, 4, 2, 64, 512, 1e4, true}},
      {"llama_Q2_K", {"llama", 1, 256, 4, 2, 64, 512, 1e4, true}},
      {"llama_Q3_K", {"llama", 1, 256, 4, 2, 64, 512, 1e4, true}},
      {"llama_Q4_K", {"llama", 1, 256, 4, 2, 64, 512, 1e4, true}},
      {"llama_Q5_K", {"llama", 1, 256, 4, 2, 64, 512, 1e4, true}},
      {"llama_Q6_K", {"llama", 1, 256, 4, 2, 64, 512, 1e4, true}},
      {"llama_hd128", {"llama", 2, 256, 4, 2, 128, 512, 1e4, true}},
      {"llama_hd96", {"llama", 2, 192, 4, 2, 96, 512, 1e4, true}},
      {"llama_spm_q8", {"llama", 2, 64, 4, 2, 16, 512, 1e4, false}},
      {"qwen2", {"qwen2", 2, 64, 4, 2, 16, 512, 1e4, true}},
      {"qwen3", {"qwen3", 2, 64, 4, 2, 16, 512, 1e4, true}},
      {"qwen3_hd128", {"qwen3", 2, 128, 2, 1, 128, 512, 1e4, true}},
  };
  for (const auto& [name, expected] : kFiles) {
    expect_config(shared_dir() / "ref" / "tiny" / (name + ".gguf"), expected);
  }
}

TEST(ReferenceFilesTest, SmolLm2) {
  const auto path = models_dir() / "smollm2-135m.gguf";
  QUANT_REQUIRE_PATH(path);
  expect_config(path, {"llama", 30, 576, 9, 3, 64, 49152, 1e5, true});
}

TEST(ReferenceFilesTest, Qwen25) {
  const auto path = models_dir() / "qwen2.5-0.5b.gguf";
  QUANT_REQUIRE_PATH(path);
  expect_config(path, {"qwen2", 24, 896, 14, 2, 64, 151936, 1e6, false});
}

TEST(ReferenceFilesTest, Gemma3) {
  const auto path = models_dir() / "gemma-3-270m-q4_k_m.gguf";
  QUANT_REQUIRE_PATH(path);
  expect_config(path, {"gemma3", 18, 640, 4, 1, 256, 262144, 1e6, true});
  const GgufFile file = GgufFile::open(path.string());
  const ModelConfig config = load_config_and_weights(file).config;
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    EXPECT_EQ(config.layers[i].sliding_window, i % 6 == 5 ? 0 : 512) << i;
  }
}

}  // namespace
}  // namespace quant::test
