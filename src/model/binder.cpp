#include "model/binder.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/half.h"
#include "gguf/cursor.h"
#include "quant/error.h"

namespace quant {
namespace {

// Kernels take rows in steps of this many values, whatever the type.
constexpr std::int64_t kGranule = 16;
constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;

std::string shape_text(const Tensor& tensor) {
  std::string text = fmt::format("{}", tensor.dims[0]);
  for (std::uint32_t i = 1; i < tensor.n_dims; ++i) text += fmt::format(" x {}", tensor.dims[i]);
  return text;
}

bool has_shape(const Tensor& tensor, std::int64_t cols, std::int64_t rows) {
  return tensor.dims[0] == static_cast<std::uint64_t>(cols) &&
         tensor.dims[1] == static_cast<std::uint64_t>(rows) && tensor.dims[2] == 1 &&
         tensor.dims[3] == 1;
}

void widen(const Tensor& tensor, TensorType type, float* out) {
  const auto count = static_cast<std::size_t>(tensor.values());
  if (type == TensorType::kF32) {
    std::memcpy(out, tensor.data.data(), count * sizeof(float));
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, tensor.data.data() + i * sizeof(bits), sizeof(bits));
    out[i] = type == TensorType::kF16 ? half_to_float(bits) : bfloat_to_float(bits);
  }
}

}  // namespace

const Tensor& WeightBinder::find(const std::string& name) {
  const Tensor* tensor = file_.find_tensor(name);
  if (tensor == nullptr) {
    fail(file_.tensors().empty() ? "holds a vocabulary only, no weights"
                                 : fmt::format("tensor {} is missing", name));
  }
  bound_.insert(tensor->name);
  return *tensor;
}

Matrix WeightBinder::view(const Tensor& tensor, std::int64_t rows, std::int64_t cols) const {
  if (!has_shape(tensor, cols, rows)) {
    fail(fmt::format("tensor {} has shape {}: expected {} x {}", tensor.name, shape_text(tensor),
                     cols, rows));
  }
  const TensorType type = tensor.type();
  if (cols % kGranule != 0) {
    fail(fmt::format("tensor {} has rows of {} values, not a multiple of {}", tensor.name, cols,
                     kGranule));
  }
  return {.type = type,
          .data = tensor.data.data(),
          .rows = rows,
          .cols = cols,
          .row_bytes = tensor.data.size() / static_cast<std::size_t>(rows)};
}

Matrix WeightBinder::matrix(const std::string& name, std::int64_t rows, std::int64_t cols) {
  return view(find(name), rows, cols);
}

Matrix WeightBinder::optional_matrix(const std::string& name, std::int64_t rows,
                                     std::int64_t cols) {
  return has(name) ? matrix(name, rows, cols) : Matrix{};
}

Matrix WeightBinder::matrix_of_any_rows(const std::string& name, std::int64_t cols) {
  const Tensor& tensor = find(name);
  if (tensor.dims[1] > static_cast<std::uint64_t>(kMaxVocab)) {
    fail(fmt::format("tensor {} has {} rows, more than {}", name, tensor.dims[1], kMaxVocab));
  }
  return view(tensor, static_cast<std::int64_t>(tensor.dims[1]), cols);
}

Vector WeightBinder::vector(const std::string& name, std::int64_t size) {
  const Tensor& tensor = find(name);
  if (!has_shape(tensor, size, 1)) {
    fail(fmt::format("tensor {} has shape {}: expected {}", name, shape_text(tensor), size));
  }
  const TensorType type = tensor.type();
  if (type == TensorType::kF32) return reinterpret_cast<const float*>(tensor.data.data());
  if (type != TensorType::kF16 && type != TensorType::kBF16) {
    fail(fmt::format("tensor {} is of type {}: expected F32, F16 or BF16", name,
                     tensor_type_info(type).name));
  }
  AlignedBuffer<float> values(static_cast<std::size_t>(size));
  widen(tensor, type, values.data());
  weights_.widened.push_back(std::move(values));
  return weights_.widened.back().data();
}

Vector WeightBinder::optional_vector(const std::string& name, std::int64_t size) {
  return has(name) ? vector(name, size) : nullptr;
}

std::vector<float> WeightBinder::optional_factors(const std::string& name, std::int64_t size) {
  if (!has(name)) return {};
  const Vector values = vector(name, size);
  std::vector<float> factors(values, values + size);
  for (const float factor : factors) {
    if (!(factor > 0.0f) || !std::isfinite(factor)) {
      fail(fmt::format("tensor {} contains {}: expected numbers above 0", name, factor));
    }
  }
  return factors;
}

void WeightBinder::refuse_unbound() const {
  constexpr std::string_view kForwardPass[] = {"blk.", "output", "token_", "rope_"};
  for (const Tensor& tensor : file_.tensors()) {
    if (bound_.contains(tensor.name)) continue;
    for (const std::string_view prefix : kForwardPass) {
      if (tensor.name.starts_with(prefix)) {
        fail(fmt::format("tensor {} is unknown in a model of this architecture and size",
                         printable(tensor.name)));
      }
    }
  }
}

void WeightBinder::fail(const std::string& problem) const {
  throw Error(ErrorKind::kModel, fmt::format("{}: {}", file_.path(), problem));
}

std::string layer_name(int index, std::string_view suffix) {
  return fmt::format("blk.{}.{}", index, suffix);
}

void bind_ends(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  weights.embedding = binder.matrix_of_any_rows("token_embd.weight", config.n_embd);
  config.n_vocab = static_cast<int>(weights.embedding.rows);
  weights.output_norm = binder.vector("output_norm.weight", config.n_embd);
  weights.output = binder.optional_matrix("output.weight", config.n_vocab, config.n_embd);
  if (!weights.output) weights.output = weights.embedding;
  weights.layers.resize(static_cast<std::size_t>(config.n_layers));
}

void bind_attention(WeightBinder& binder, const ModelConfig& config, int index,
                    LayerWeights& layer) {
  const auto name = [&](std::string_view suffix) { return layer_name(index, suffix); };
  const std::int64_t q_rows = std::int64_t{config.n_heads} * config.key_dim;
  const std::int64_t k_rows = std::int64_t{config.n_kv_heads} * config.key_dim;
  const std::int64_t v_rows = std::int64_t{config.n_kv_heads} * config.value_dim;

  layer.attn_norm = binder.vector(name("attn_norm.weight"), config.n_embd);
  if (const Matrix qkv = binder.optional_matrix(name("attn_qkv.weight"), q_rows + k_rows + v_rows,
                                                config.n_embd)) {
    layer.q = qkv.slice(0, q_rows);
    layer.k = qkv.slice(q_rows, k_rows);
    layer.v = qkv.slice(q_rows + k_rows, v_rows);
  } else {
    layer.q = binder.matrix(name("attn_q.weight"), q_rows, config.n_embd);
    layer.k = binder.matrix(name("attn_k.weight"), k_rows, config.n_embd);
    layer.v = binder.matrix(name("attn_v.weight"), v_rows, config.n_embd);
  }
  if (const Vector bias = binder.optional_vector(name("attn_qkv.bias"), q_rows + k_rows + v_rows)) {
    layer.q_bias = bias;
    layer.k_bias = bias + q_rows;
    layer.v_bias = bias + q_rows + k_rows;
  } else {
    layer.q_bias = binder.optional_vector(name("attn_q.bias"), q_rows);
    layer.k_bias = binder.optional_vector(name("attn_k.bias"), k_rows);
    layer.v_bias = binder.optional_vector(name("attn_v.bias"), v_rows);
  }
  layer.o = binder.matrix(name("attn_output.weight"), config.n_embd,
                          std::int64_t{config.n_heads} * config.value_dim);
  layer.o_bias = binder.optional_vector(name("attn_output.bias"), config.n_embd);
}

void bind_qk_norms(WeightBinder& binder, const ModelConfig& config, int index,
                   LayerWeights& layer) {
  layer.q_norm = binder.vector(layer_name(index, "attn_q_norm.weight"), config.key_dim);
  layer.k_norm = binder.vector(layer_name(index, "attn_k_norm.weight"), config.key_dim);
}

void bind_ffn(WeightBinder& binder, const ModelConfig& config, int index, LayerWeights& layer) {
  layer.ffn_norm = binder.vector(layer_name(index, "ffn_norm.weight"), config.n_embd);
  layer.gate = binder.matrix(layer_name(index, "ffn_gate.weight"), config.n_ff, config.n_embd);
  layer.up = binder.matrix(layer_name(index, "ffn_up.weight"), config.n_ff, config.n_embd);
  layer.down = binder.matrix(layer_name(index, "ffn_down.weight"), config.n_embd, config.n_ff);
}

void bind_post_norms(WeightBinder& binder, const ModelConfig& config, int index,
                     LayerWeights& layer) {
  layer.post_attn_norm =
      binder.vector(layer_name(index, "post_attention_norm.weight"), config.n_embd);
  layer.post_ffn_norm = binder.vector(layer_name(index, "post_ffw_norm.weight"), config.n_embd);
}

void bind_long_rope(WeightBinder& binder, ModelConfig& config) {
  RopeConfig& rope = config.ropes.front();
  rope.long_factors = binder.optional_factors("rope_factors_long.weight", rope.n_rot / 2);
  rope.short_factors = binder.optional_factors("rope_factors_short.weight", rope.n_rot / 2);
  if (rope.long_factors.empty() != rope.short_factors.empty()) {
    binder.fail("has only one of rope_factors_long.weight and rope_factors_short.weight");
  }
  if (rope.long_factors.empty()) return;
  if (rope.scaling == RopeScaling::kYarn) {
    binder.fail("has both YaRN's scaling and LongRoPE's factors, which is not supported");
  }
  // phi3 files give the factors without a scaling type.
  rope.scaling = RopeScaling::kLongRope;
}

}  // namespace quant
