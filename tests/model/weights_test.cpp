// Tensors are bound in place where their shapes agree with the hyper-parameters, else refused.
#include "model/weights.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/half.h"
#include "model/load.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

/// A model file and what was loaded from it.
struct Loaded {
  GgufFile file;
  ModelConfig config;
  ModelWeights weights;

  const std::byte* data(const std::string& tensor) const {
    return file.find_tensor(tensor)->data.data();
  }
};

class WeightsTest : public testing::Test {
 protected:
  Loaded load(const GgufWriter& writer) {
    writer.write(path_);
    GgufFile file = GgufFile::open(path_.string());
    ConfigAndWeights model = load_config_and_weights(file);
    return {std::move(file), std::move(model.config), std::move(model.weights)};
  }
  void expect_refused(const GgufWriter& writer, const std::string& text) {
    expect_error(ErrorKind::kModel, text, [&] { load(writer); });
  }

  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "model.gguf";
};

void expect_matrix(const Matrix& matrix, const std::byte* data, std::int64_t rows,
                   std::int64_t cols) {
  EXPECT_EQ(matrix.data, data);
  EXPECT_EQ(matrix.rows, rows);
  EXPECT_EQ(matrix.cols, cols);
  const TensorTypeInfo& type = tensor_type_info(matrix.type);
  EXPECT_EQ(matrix.row_bytes,
            static_cast<std::size_t>(cols) / type.block_values * type.block_bytes);
}

TEST_F(WeightsTest, MatricesAndNormsAreUsedInPlace) {
  for (const TensorType type :
       {TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kQ8_0}) {
    TinyModelSpec spec = tiny_spec("llama");
    spec.weight_type = type;
    const Loaded model = load(tiny_model(spec));
    ASSERT_EQ(model.weights.layers.size(), 2u);
    const LayerWeights& layer = model.weights.layers[1];
    EXPECT_EQ(layer.q.type, type);
    expect_matrix(layer.q, model.data("blk.1.attn_q.weight"), 64, 64);
    expect_matrix(layer.k, model.data("blk.1.attn_k.weight"), 32, 64);
    expect_matrix(layer.v, model.data("blk.1.attn_v.weight"), 32, 64);
    expect_matrix(layer.o, model.data("blk.1.attn_output.weight"), 64, 64);
    expect_matrix(layer.gate, model.data("blk.1.ffn_gate.weight"), 128, 64);
    expect_matrix(layer.up, model.data("blk.1.ffn_up.weight"), 128, 64);
    expect_matrix(layer.down, model.data("blk.1.ffn_down.weight"), 64, 128);
    expect_matrix(model.weights.embedding, model.data("token_embd.weight"), 288, 64);
    const auto* norm = reinterpret_cast<const std::byte*>(layer.attn_norm);
    EXPECT_EQ(norm, model.data("blk.1.attn_norm.weight"));
    EXPECT_TRUE(model.weights.widened.empty());
    for (const Vector absent : {layer.q_bias, layer.k_bias, layer.v_bias, layer.o_bias,
                                layer.q_norm, layer.post_attn_norm, layer.post_ffn_norm}) {
      EXPECT_EQ(absent, nullptr);
    }
  }
}

TEST_F(WeightsTest, OutputIsTheEmbeddingUnlessTheFileHasIt) {
  TinyModelSpec spec = tiny_spec("qwen3");
  const Loaded tied = load(tiny_model(spec));
  EXPECT_EQ(tied.weights.output.data, tied.weights.embedding.data);
  spec.tied_output = false;
  const Loaded untied = load(tiny_model(spec));
  expect_matrix(untied.weights.output, untied.data("output.weight"), 288, 64);
}

TEST_F(WeightsTest, OptionalTensorsOfTheArchitectures) {
  const Loaded qwen2 = load(tiny_model(tiny_spec("qwen2")));
  EXPECT_NE(qwen2.weights.layers[0].q_bias, nullptr);
  EXPECT_NE(qwen2.weights.layers[0].k_bias, nullptr);
  EXPECT_NE(qwen2.weights.layers[0].v_bias, nullptr);
  const Loaded qwen3 = load(tiny_model(tiny_spec("qwen3")));
  EXPECT_NE(qwen3.weights.layers[0].q_norm, nullptr);
  EXPECT_NE(qwen3.weights.layers[0].k_norm, nullptr);
  for (const char* architecture : {"gemma2", "gemma3"}) {
    const Loaded gemma = load(tiny_model(tiny_spec(architecture)));
    EXPECT_NE(gemma.weights.layers[0].post_attn_norm, nullptr);
    EXPECT_NE(gemma.weights.layers[0].post_ffn_norm, nullptr);
    EXPECT_EQ(gemma.weights.layers[0].q_norm != nullptr, std::string(architecture) == "gemma3");
  }
}

TEST_F(WeightsTest, FusedTensorsAreTakenApartWithoutACopy) {
  TinyModelSpec spec = tiny_spec("phi3");
  spec.weight_type = TensorType::kQ8_0;
  const Loaded model = load(tiny_model(spec));
  const LayerWeights& layer = model.weights.layers[0];
  const std::byte* qkv = model.data("blk.0.attn_qkv.weight");
  const std::byte* gate_up = model.data("blk.0.ffn_up.weight");
  constexpr std::size_t kRowBytes = 64 / 32 * 34;
  expect_matrix(layer.q, qkv, 64, 64);
  expect_matrix(layer.k, qkv + 64 * kRowBytes, 32, 64);
  expect_matrix(layer.v, qkv + 96 * kRowBytes, 32, 64);
  expect_matrix(layer.gate, gate_up, 128, 64);
  expect_matrix(layer.up, gate_up + 128 * kRowBytes, 128, 64);
}

TEST_F(WeightsTest, FusedBiasIsTakenApartToo) {
  std::vector<float> bias(128);
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i);
  const Loaded model =
      load(tiny_model(tiny_spec("phi3")).add_tensor("blk.0.attn_qkv.bias", {128}, bias));
  const LayerWeights& layer = model.weights.layers[0];
  EXPECT_EQ(layer.q_bias[0], 0.0f);
  EXPECT_EQ(layer.k_bias[0], 64.0f);
  EXPECT_EQ(layer.v_bias[31], 127.0f);
  EXPECT_EQ(model.weights.layers[1].q_bias, nullptr);
}

TEST_F(WeightsTest, HalfPrecisionVectorsAreWidened) {
  for (const TensorType type : {TensorType::kF16, TensorType::kBF16}) {
    std::string data;
    for (int i = 0; i < 64; ++i) {
      const float value = 0.5f + static_cast<float>(i) / 64.0f;
      put(data, type == TensorType::kF16 ? float_to_half(value) : float_to_bfloat(value));
    }
    const Loaded model =
        load(tiny_model(tiny_spec("llama"))
                 .remove_tensor("output_norm.weight")
                 .add_tensor("output_norm.weight", {64}, static_cast<std::uint32_t>(type), data));
    ASSERT_EQ(model.weights.widened.size(), 1u);
    EXPECT_EQ(model.weights.output_norm[0], 0.5f);
    EXPECT_EQ(model.weights.output_norm[32], 1.0f);
  }
}

TEST_F(WeightsTest, EveryTensorIsRequiredAndItsShapeChecked) {
  for (const std::string architecture : {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"}) {
    const GgufWriter sound = tiny_model(tiny_spec(architecture));
    const Loaded model = load(sound);
    for (const Tensor& tensor : model.file.tensors()) {
      GgufWriter damaged = sound;
      std::vector<std::uint64_t> dims(tensor.dims, tensor.dims + tensor.n_dims);
      damaged.remove_tensor(tensor.name);
      const bool optional = tensor.name.ends_with(".bias");
      const bool paired = tensor.name.starts_with("rope_factors");
      if (!optional && !paired) {
        const bool qkv = tensor.name.ends_with("attn_qkv.weight");
        expect_refused(damaged, qkv ? "attn_q.weight is missing" : tensor.name + " is missing");
      }
      // Twice the columns: wrong for every tensor.
      dims[0] *= 2;
      std::uint64_t bytes = 4 * tensor.values() * 2;
      damaged.add_tensor(tensor.name, dims, 0, std::string(bytes, '\0'));
      expect_refused(damaged, "tensor " + tensor.name + " has shape");
    }
  }
}

TEST_F(WeightsTest, ShapeErrorsSayWhatWasExpectedAndFound) {
  GgufWriter writer = tiny_model(tiny_spec("llama"));
  writer.remove_tensor("blk.1.attn_k.weight")
      .add_tensor("blk.1.attn_k.weight", {64, 48}, std::vector<float>(64 * 48));
  expect_refused(writer, "tensor blk.1.attn_k.weight has shape 64 x 48: expected 64 x 32");
}

TEST_F(WeightsTest, UnsupportedTypesAreRefusedByName) {
  GgufWriter writer = tiny_model(tiny_spec("llama"));
  writer.remove_tensor("blk.0.ffn_up.weight")
      .add_tensor("blk.0.ffn_up.weight", {64, 128}, 39, std::string(64, '\0'));
  expect_refused(writer, "tensor blk.0.ffn_up.weight is of type MXFP4");
  GgufWriter norm = tiny_model(tiny_spec("llama"));
  norm.remove_tensor("blk.0.ffn_norm.weight")
      .add_tensor("blk.0.ffn_norm.weight", {64}, 8, std::string(68, '\0'));
  expect_refused(norm, "tensor blk.0.ffn_norm.weight is of type Q8_0: expected F32, F16 or BF16");
}

TEST_F(WeightsTest, TensorsThatWouldChangeTheResultAreNotLeftOut) {
  const std::vector<float> values(128, 1.0f);
  const GgufWriter sound = tiny_model(tiny_spec("llama"));
  for (const std::string name : {"blk.0.ffn_up.bias", "blk.2.attn_norm.weight", "output.bias",
                                 "blk.0.attn_sinks.weight", "rope_factors_long.weight"}) {
    expect_refused(GgufWriter(sound).add_tensor(name, {128}, values),
                   "tensor " + name + " is unknown");
  }
  // Parts of other networks in the same file are none of the language model's business.
  load(GgufWriter(sound).add_tensor("v.blk.0.attn_norm.weight", {128}, values));
}

TEST_F(WeightsTest, EveryFlippedBitOfTheHeaderIsSurvived) {
  TinyModelSpec spec = tiny_spec("gemma3");
  spec.n_layers = 1;
  spec.n_embd = spec.n_ff = spec.head_dim = 32;
  spec.n_heads = spec.n_kv_heads = 1;
  spec.weight_type = TensorType::kQ8_0;
  GgufWriter writer = tiny_model(spec);
  for (const char* key : {"tokens", "token_type", "merges"}) {
    writer.remove(std::string("tokenizer.ggml.") + key);
  }
  const std::string sound = writer.bytes();
  const Loaded model = load(writer);
  const std::byte* map = model.data("token_embd.weight");  // the first tensor
  std::size_t data_bytes = 0;
  for (const Tensor& tensor : model.file.tensors()) {
    data_bytes = std::max(data_bytes,
                          static_cast<std::size_t>(tensor.data.data() - map) + tensor.data.size());
  }
  int refused = 0;
  unsigned sum = 0;
  for (std::size_t i = 0; i < sound.size() - data_bytes; ++i) {
    std::string damaged = sound;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    write_file(path_, damaged);
    try {
      const GgufFile file = GgufFile::open(path_.string());
      const ConfigAndWeights loaded = load_config_and_weights(file);
      const Matrix& down = loaded.weights.layers.back().down;
      sum += std::to_integer<unsigned>(
          down.data[static_cast<std::size_t>(down.rows) * down.row_bytes - 1]);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(sum, 0u);
}

TEST_F(WeightsTest, VocabularyOnlyFilesAreRefused) {
  GgufWriter writer = tiny_model(tiny_spec("llama"));
  const std::vector<Tensor> tensors = load(writer).file.tensors();
  for (const Tensor& tensor : tensors) writer.remove_tensor(tensor.name);
  expect_refused(writer, "holds a vocabulary only, no weights");
}

}  // namespace
}  // namespace quant::test
