// Metadata become the config that llama.cpp b11434 would compute with.
#include <gtest/gtest.h>

#include <cmath>

#include "model/load.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ModelConfig config_of(const GgufWriter& writer) {
    writer.write(path_);
    const GgufFile file = GgufFile::open(path_.string());
    return load_config_and_weights(file).config;
  }
  ModelConfig config_of(const TinyModelSpec& spec) { return config_of(tiny_model(spec)); }
  /// With one key of the architecture replaced.
  template <class T>
  ModelConfig config_with(const TinyModelSpec& spec, const std::string& suffix, const T& value) {
    const std::string key = spec.architecture + "." + suffix;
    return config_of(tiny_model(spec).remove(key).add(key, value));
  }
  ModelConfig config_without(const TinyModelSpec& spec, const std::string& suffix) {
    return config_of(tiny_model(spec).remove(spec.architecture + "." + suffix));
  }
  template <class T>
  void expect_refused(const std::string& suffix, const T& value, const std::string& text) {
    expect_error(ErrorKind::kModel, text, [&] { config_with(tiny_spec("llama"), suffix, value); });
  }

  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "model.gguf";
};

TEST_F(ConfigTest, LlamaFields) {
  const ModelConfig config = config_of(tiny_spec("llama"));
  EXPECT_EQ(config.architecture, "llama");
  EXPECT_EQ(config.name, "tiny");
  EXPECT_EQ(config.n_layers, 2);
  EXPECT_EQ(config.n_embd, 64);
  EXPECT_EQ(config.n_heads, 4);
  EXPECT_EQ(config.n_kv_heads, 2);
  EXPECT_EQ(config.key_dim, 16);
  EXPECT_EQ(config.value_dim, 16);
  EXPECT_EQ(config.n_ff, 128);
  EXPECT_EQ(config.n_vocab, 288);
  EXPECT_EQ(config.context_length, 512);
  EXPECT_EQ(config.norm_eps, 1e-5f);
  EXPECT_EQ(config.embedding_scale, 1.0f);
  EXPECT_EQ(config.attention_scale, 0.25f);
  EXPECT_EQ(config.attention_softcap, 0.0f);
  EXPECT_EQ(config.final_softcap, 0.0f);
  EXPECT_EQ(config.activation, Activation::kSilu);
  ASSERT_EQ(config.ropes.size(), 1u);
  const RopeConfig& rope = config.ropes.front();
  EXPECT_EQ(rope.style, RopeStyle::kNormal);
  EXPECT_EQ(rope.n_rot, 16);
  EXPECT_EQ(rope.base, 10000.0);
  EXPECT_EQ(rope.scaling, RopeScaling::kNone);
  EXPECT_EQ(rope.factor, 1.0);
  EXPECT_EQ(rope.original_context, 512);
  EXPECT_EQ(rope.attention_factor, 1.0);
  EXPECT_TRUE(rope.freq_factors.empty());
  ASSERT_EQ(config.layers.size(), 2u);
  EXPECT_EQ(config.layers[0].sliding_window, 0);
}

TEST_F(ConfigTest, AbsentKeysHaveTheirDefaults) {
  const TinyModelSpec spec = tiny_spec("llama");
  EXPECT_EQ(config_without(spec, "attention.key_length").key_dim, 16);
  EXPECT_EQ(config_without(spec, "attention.value_length").value_dim, 16);
  EXPECT_EQ(config_without(spec, "rope.dimension_count").ropes[0].n_rot, 16);
  EXPECT_EQ(config_without(spec, "rope.freq_base").ropes[0].base, 10000.0);
  TinyModelSpec every_head = spec;
  every_head.n_kv_heads = every_head.n_heads;
  EXPECT_EQ(config_without(every_head, "attention.head_count_kv").n_kv_heads, 4);
}

TEST_F(ConfigTest, RequiredKeysAreNamed) {
  for (const std::string suffix :
       {"context_length", "embedding_length", "block_count", "feed_forward_length",
        "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
    expect_error(ErrorKind::kModel, "metadata llama." + suffix + " is missing",
                 [&] { config_without(tiny_spec("llama"), suffix); });
  }
}

TEST_F(ConfigTest, SlidingWindowsOfMistralAndPhiAreNotApplied) {
  for (const std::string architecture : {"llama", "phi3", "qwen2"}) {
    TinyModelSpec spec = tiny_spec(architecture);
    spec.sliding_window = 32;
    for (const LayerConfig& layer : config_of(spec).layers) EXPECT_EQ(layer.sliding_window, 0);
  }
}

TEST_F(ConfigTest, QwensRotateLikeNeoX) {
  for (const std::string architecture : {"qwen2", "qwen3"}) {
    const ModelConfig config = config_of(tiny_spec(architecture));
    EXPECT_EQ(config.ropes.front().style, RopeStyle::kNeoX);
    EXPECT_EQ(config.activation, Activation::kSilu);
    EXPECT_EQ(config.embedding_scale, 1.0f);
  }
}

TEST_F(ConfigTest, Gemma2Features) {
  const TinyModelSpec spec = tiny_spec("gemma2");
  ModelConfig config = config_of(spec);
  EXPECT_EQ(config.activation, Activation::kGeluTanh);
  EXPECT_EQ(config.embedding_scale, 8.0f);
  EXPECT_EQ(config.attention_softcap, 50.0f);
  EXPECT_EQ(config.final_softcap, 30.0f);
  EXPECT_EQ(config.attention_scale, 0.25f);
  EXPECT_EQ(config.ropes.size(), 1u);
  EXPECT_EQ(config.ropes[0].style, RopeStyle::kNeoX);
  EXPECT_EQ(config.layers[0].sliding_window, 32);
  EXPECT_EQ(config.layers[1].sliding_window, 0);
  EXPECT_EQ(config_without(spec, "attention.sliding_window").layers[0].sliding_window, 4096);
  EXPECT_EQ(config_with(spec, "attn_logit_softcapping", 20.0f).attention_softcap, 20.0f);
  EXPECT_EQ(config_with(spec, "final_logit_softcapping", 0.0f).final_softcap, 0.0f);
  config = config_with(spec, "rope.freq_base_swa", 5000.0f);
  ASSERT_EQ(config.ropes.size(), 2u);
  EXPECT_EQ(config.ropes[1].base, 5000.0);
  EXPECT_EQ(config.layers[0].rope, 1);
  EXPECT_EQ(config.layers[1].rope, 0);
}

TEST_F(ConfigTest, Gemma3Features) {
  TinyModelSpec spec = tiny_spec("gemma3");
  spec.rope_scaling = "linear";
  spec.rope_factor = 8.0;
  ModelConfig config = config_of(spec);
  EXPECT_EQ(config.activation, Activation::kGeluTanh);
  EXPECT_EQ(config.embedding_scale, 8.0f);
  EXPECT_EQ(config.attention_softcap, 0.0f);
  EXPECT_EQ(config.final_softcap, 0.0f);
  ASSERT_EQ(config.ropes.size(), 2u);
  EXPECT_EQ(config.ropes[0].base, 1000000.0);
  EXPECT_EQ(config.ropes[0].scaling, RopeScaling::kLinear);
  EXPECT_EQ(config.ropes[0].factor, 8.0);
  EXPECT_EQ(config.ropes[1].base, 10000.0);
  EXPECT_EQ(config.ropes[1].scaling, RopeScaling::kNone);
  EXPECT_EQ(config.ropes[1].factor, 1.0);
  for (const int i : {0, 1}) {
    EXPECT_EQ(config.layers[static_cast<std::size_t>(i)].sliding_window, 32);
    EXPECT_EQ(config.layers[static_cast<std::size_t>(i)].rope, 1);
  }
  EXPECT_EQ(config.layers[2].sliding_window, 0);
  EXPECT_EQ(config.layers[2].rope, 0);
  EXPECT_EQ(config_with(spec, "rope.freq_base_swa", 20000.0f).ropes[1].base, 20000.0);

  config = config_without(spec, "attention.sliding_window");
  EXPECT_EQ(config.ropes.size(), 1u);
  for (const LayerConfig& layer : config.layers) EXPECT_EQ(layer.sliding_window, 0);
}

TEST_F(ConfigTest, SlidingPatternIsANumberOrMarks) {
  TinyModelSpec spec = tiny_spec("gemma3");
  spec.n_layers = 7;
  const auto windows = [](const ModelConfig& config) {
    std::vector<int> result;
    for (const LayerConfig& layer : config.layers) result.push_back(layer.sliding_window);
    return result;
  };
  constexpr const char* kKey = "attention.sliding_window_pattern";
  using Windows = std::vector<int>;
  EXPECT_EQ(windows(config_without(spec, kKey)), (Windows{32, 32, 32, 32, 32, 0, 32}));
  EXPECT_EQ(windows(config_with(spec, kKey, std::uint32_t{2})), (Windows{32, 0, 32, 0, 32, 0, 32}));
  EXPECT_EQ(windows(config_with(spec, kKey, std::uint32_t{1})), (Windows{0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(windows(config_with(spec, kKey, std::uint32_t{0})),
            (Windows{32, 32, 32, 32, 32, 32, 32}));
  EXPECT_EQ(windows(config_with(spec, kKey, std::vector<bool>{0, 1, 0, 0, 1, 1, 0})),
            (Windows{0, 32, 0, 0, 32, 32, 0}));
  EXPECT_EQ(windows(config_with(spec, kKey, std::vector<std::int32_t>{1, 0, 0, 0, 0, 0, 1})),
            (Windows{32, 0, 0, 0, 0, 0, 32}));
  expect_error(ErrorKind::kModel, "sliding_window_pattern has 2 elements: expected 7", [&] {
    config_with(spec, kKey, std::vector<bool>{true, false});
  });
}

TEST_F(ConfigTest, GemmasOf27BScaleByTheEmbedding) {
  for (const auto& [architecture, n_layers] : {std::pair{"gemma2", 46}, std::pair{"gemma3", 62}}) {
    TinyModelSpec spec = tiny_spec(architecture);
    spec.n_layers = n_layers;
    spec.head_dim = 32;
    EXPECT_EQ(config_of(spec).attention_scale, 1.0f / std::sqrt(16.0f)) << architecture;
    spec.n_layers = n_layers - 1;
    EXPECT_EQ(config_of(spec).attention_scale, 1.0f / std::sqrt(32.0f)) << architecture;
  }
}

TEST_F(ConfigTest, Phi3LongRope) {
  TinyModelSpec spec = tiny_spec("phi3");
  spec.n_rot = 12;
  const ModelConfig config = config_of(spec);
  const RopeConfig& rope = config.ropes.front();
  EXPECT_EQ(rope.style, RopeStyle::kNeoX);
  EXPECT_EQ(rope.n_rot, 12);
  EXPECT_EQ(rope.scaling, RopeScaling::kLongRope);
  EXPECT_EQ(rope.original_context, 128);
  EXPECT_FLOAT_EQ(static_cast<float>(rope.attention_factor), 1.1f);
  ASSERT_EQ(rope.long_factors.size(), 6u);
  ASSERT_EQ(rope.short_factors.size(), 6u);
  EXPECT_FLOAT_EQ(rope.long_factors.back(), 4.0f);
  EXPECT_FLOAT_EQ(rope.short_factors.back(), 1.5f);

  spec.long_rope = false;
  EXPECT_EQ(config_of(spec).ropes.front().scaling, RopeScaling::kNone);
  spec.long_rope = true;
  expect_error(ErrorKind::kModel, "has only one of rope_factors_long.weight",
               [&] { config_of(tiny_model(spec).remove_tensor("rope_factors_short.weight")); });
}

TEST_F(ConfigTest, LlamaFrequencyFactors) {
  TinyModelSpec spec = tiny_spec("llama");
  spec.rope_freqs = true;
  const ModelConfig config = config_of(spec);
  ASSERT_EQ(config.ropes[0].freq_factors.size(), 8u);
  EXPECT_FLOAT_EQ(config.ropes[0].freq_factors.front(), 1.0f);
  EXPECT_FLOAT_EQ(config.ropes[0].freq_factors.back(), 8.0f);
  GgufWriter zero = tiny_model(spec).remove_tensor("rope_freqs.weight");
  zero.add_tensor("rope_freqs.weight", {8}, std::vector<float>(8, 0.0f));
  expect_error(ErrorKind::kModel, "tensor rope_freqs.weight contains 0", [&] { config_of(zero); });
}

TEST_F(ConfigTest, RopeScalingKinds) {
  TinyModelSpec spec = tiny_spec("llama");
  spec.rope_factor = 4.0;
  const auto rope = [&](const std::string& type) {
    spec.rope_scaling = type;
    return config_of(spec).ropes.front();
  };
  EXPECT_EQ(rope("").scaling, RopeScaling::kLinear);
  EXPECT_EQ(rope("").factor, 4.0);
  EXPECT_EQ(rope("linear").scaling, RopeScaling::kLinear);
  EXPECT_EQ(rope("none").scaling, RopeScaling::kNone);
  EXPECT_EQ(rope("none").factor, 1.0);
  spec.original_context = 128;
  spec.rope_attention_factor = 1.25;
  const RopeConfig yarn = rope("yarn");
  EXPECT_EQ(yarn.scaling, RopeScaling::kYarn);
  EXPECT_EQ(yarn.factor, 4.0);
  EXPECT_EQ(yarn.original_context, 128);
  EXPECT_EQ(yarn.attention_factor, 1.25);
  EXPECT_EQ(rope("longrope").scaling, RopeScaling::kLongRope);
  expect_error(ErrorKind::kModel, "rope.scaling.type", [&] { rope("su"); });

  spec = tiny_spec("llama");
  EXPECT_EQ(config_with(spec, "rope.scale_linear", 2.0f).ropes[0].factor, 2.0);
  EXPECT_EQ(config_with(spec, "rope.scaling.factor", 0.0f).ropes[0].factor, 1.0);
}

TEST_F(ConfigTest, ImpossibleNumbersAreRefused) {
  expect_refused("block_count", std::uint32_t{0}, "llama.block_count is 0: expected 1 to 512");
  expect_refused("block_count", std::uint32_t{4000000000}, "llama.block_count is 4000000000");
  expect_refused("block_count", "two", "llama.block_count is not an integer");
  expect_refused("embedding_length", std::uint32_t{72}, "72 is not a multiple of 16");
  expect_refused("feed_forward_length", std::uint32_t{120}, "120 is not a multiple of 16");
  expect_refused("attention.head_count", std::uint32_t{0}, "llama.attention.head_count is 0");
  expect_refused("attention.head_count", std::uint32_t{3}, "is not a multiple of head_count_kv 2");
  expect_refused("attention.key_length", std::uint32_t{24}, "24 is not a multiple of 16");
  expect_refused("attention.key_length", std::uint32_t{1024}, "expected 16 to 512");
  expect_refused("attention.value_length", std::uint32_t{8}, "expected 16 to 512");
  expect_refused("rope.dimension_count", std::uint32_t{18}, "expected 2 to 16");
  expect_refused("rope.dimension_count", std::uint32_t{7}, "rope.dimension_count 7 is not even");
  expect_refused("rope.freq_base", 0.0f, "llama.rope.freq_base is 0");
  expect_refused("rope.freq_base", 1.0f, "rope.freq_base 1 is not above 1");
  expect_refused("rope.freq_base", std::nanf(""), "llama.rope.freq_base is nan");
  expect_refused("rope.scaling.factor", -1.0f, "llama.rope.scaling.factor is -1");
  expect_refused("attention.layer_norm_rms_epsilon", 0.0f, "layer_norm_rms_epsilon is 0");
  expect_refused("context_length", std::uint64_t{1} << 40, "llama.context_length is");
  expect_refused("expert_count", std::uint32_t{8}, "mixture of experts");
}

TEST_F(ConfigTest, PerLayerArraysMustAgree) {
  const auto heads = [&](const std::vector<std::int32_t>& values) {
    return config_with(tiny_spec("llama"), "attention.head_count", values).n_heads;
  };
  EXPECT_EQ(heads({4, 4}), 4);
  expect_error(ErrorKind::kModel, "llama.attention.head_count differs between layers", [&] {
    heads({4, 2});
  });
  expect_error(ErrorKind::kModel, "differs between layers", [&] { heads({}); });
}

TEST_F(ConfigTest, UnknownArchitecturesAreRefusedWithTheKnownOnes) {
  GgufWriter writer = tiny_model(tiny_spec("llama"));
  writer.remove("general.architecture").add("general.architecture", "mamba");
  expect_error(ErrorKind::kModel,
               "the architecture mamba is not supported: these are: llama, qwen2, qwen3, gemma2, "
               "gemma3, phi3",
               [&] { config_of(writer); });
  expect_error(ErrorKind::kModel, "general.architecture is missing",
               [&] { config_of(writer.remove("general.architecture")); });
}

}  // namespace
}  // namespace quant::test
