#include "support/naive_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace quant::test {
namespace {

std::size_t to_size(int n) { return static_cast<std::size_t>(n); }

std::string in_layer(int index, const std::string& suffix) {
  return fmt::format("blk.{}.{}", index, suffix);
}

void add(Doubles& x, const Doubles& y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

double softcap(double x, double cap) { return cap > 0.0 ? cap * std::tanh(x / cap) : x; }

double silu(double x) { return x / (1.0 + std::exp(-x)); }

double gelu_tanh(double x) {
  const double inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1.0 + std::tanh(inner));
}

/// Normalizes x [n] at `begin`; x·weight / sqrt(mean(x²) + eps).
void rms_norm(Doubles& x, std::size_t begin, std::size_t n, const float* weight, double eps) {
  double squares = 0.0;
  for (std::size_t i = 0; i < n; ++i) squares += x[begin + i] * x[begin + i];
  const double factor = 1.0 / std::sqrt(squares / static_cast<double>(n) + eps);
  for (std::size_t i = 0; i < n; ++i) x[begin + i] *= factor * static_cast<double>(weight[i]);
}

/// y = W·x for rows [first, first + count) of W.
Doubles multiply(const float* weights, std::size_t first, std::size_t count, const Doubles& x) {
  Doubles y(count, 0.0);
  for (std::size_t r = 0; r < count; ++r) {
    const float* row = weights + (first + r) * x.size();
    for (std::size_t c = 0; c < x.size(); ++c) y[r] += static_cast<double>(row[c]) * x[c];
  }
  return y;
}

/// The view rule for formats without groups and calibration.
bool is_exact(const KvSide& side, std::int64_t i, std::int64_t t) {
  return i < side.sink || t - i < side.window;
}

bool is_visible(int sliding_window, std::int64_t i, std::int64_t t) {
  return i <= t && (sliding_window == 0 || t - i < sliding_window);
}

}  // namespace

NaiveModel::NaiveModel(const std::string& path, int context)
    : file_(GgufFile::open(path)),
      architecture_(file_.require_string("general.architecture")),
      gemma_(architecture_.starts_with("gemma")),
      n_embd_(integer("embedding_length", 0)),
      n_heads_(integer("attention.head_count", 0)),
      n_kv_heads_(integer("attention.head_count_kv", 0)),
      head_dim_(integer("attention.key_length", 0)),
      value_dim_(integer("attention.value_length", 0)),
      n_ff_(integer("feed_forward_length", 0)),
      n_rot_(integer("rope.dimension_count", 0)),
      eps_(number("attention.layer_norm_rms_epsilon", 0.0)),
      rope_magnitude_(number("rope.scaling.attn_factor", 1.0)) {
  if (file_.find(architecture_ + ".rope.scaling.type") != nullptr) {
    throw std::invalid_argument("the naive model has no scaled RoPE");
  }
  if (architecture_ == "gemma2") {
    attention_softcap_ = 50.0;
    final_softcap_ = 30.0;
  }
  const int window = gemma_ ? integer("attention.sliding_window", 0) : 0;
  const int pattern =
      integer("attention.sliding_window_pattern", architecture_ == "gemma2" ? 2 : 6);
  const double base = number("rope.freq_base", 10000.0);
  for (int i = 0; i < integer("block_count", 0); ++i) {
    const bool slides = window > 0 && (i + 1) % pattern != 0;
    layers_.push_back(
        {i, slides ? window : 0, slides && architecture_ == "gemma3" ? 10000.0 : base});
  }
  const char* longrope = context > integer("rope.scaling.original_context_length", 1 << 30)
                             ? "rope_factors_long.weight"
                             : "rope_factors_short.weight";
  const std::size_t pairs = to_size(n_rot_ / 2);
  rope_divisors_.assign(pairs, 1.0);
  for (const char* name : {"rope_freqs.weight", longrope}) {
    const float* factors = tensor(name, pairs, true);
    if (factors != nullptr) rope_divisors_.assign(factors, factors + pairs);
  }
}

const float* NaiveModel::tensor(const std::string& name, std::size_t values, bool optional) const {
  const Tensor* found = file_.find_tensor(name);
  if (found == nullptr && optional) return nullptr;
  if (found == nullptr || found->type() != TensorType::kF32 || found->values() != values) {
    throw std::invalid_argument("the naive model needs an F32 tensor " + name);
  }
  return reinterpret_cast<const float*>(found->data.data());
}

NaiveModel::Matrix NaiveModel::matrix(const std::string& name, int rows, int cols) const {
  return {to_size(rows), to_size(cols), tensor(name, to_size(rows) * to_size(cols))};
}

double NaiveModel::number(const std::string& suffix, double fallback) const {
  return file_.get_float(architecture_ + "." + suffix).value_or(fallback);
}

int NaiveModel::integer(const std::string& suffix, int fallback) const {
  return static_cast<int>(file_.get_int(architecture_ + "." + suffix).value_or(fallback));
}

Doubles NaiveModel::norm(const std::string& name, const Doubles& x) const {
  Doubles out = x;
  rms_norm(out, 0, out.size(), tensor(name, out.size()), eps_);
  return out;
}

Doubles NaiveModel::logits(std::span<const Token> tokens, const KvSpec& kv, const Codec& codec,
                           const Witness& witness) const {
  const Tensor* embedding = file_.find_tensor("token_embd.weight");
  const int n_vocab = static_cast<int>(embedding->dims[1]);
  const Matrix table = matrix("token_embd.weight", n_vocab, n_embd_);
  const bool tied = file_.find_tensor("output.weight") == nullptr;
  const Matrix output = tied ? table : matrix("output.weight", n_vocab, n_embd_);
  std::vector<Doubles> hidden;
  for (const Token token : tokens) {
    const float* row = table.values + to_size(token) * table.cols;
    hidden.emplace_back(row, row + table.cols);
    if (!gemma_) continue;
    for (double& x : hidden.back()) x *= std::sqrt(static_cast<double>(n_embd_));
  }
  for (const Layer& layer : layers_) run_layer(layer, hidden, kv, codec, witness);
  Doubles all;
  for (const Doubles& x : hidden) {
    for (const double logit :
         multiply(output.values, 0, output.rows, norm("output_norm.weight", x))) {
      all.push_back(softcap(logit, final_softcap_));
    }
  }
  return all;
}

void NaiveModel::run_layer(const Layer& layer, std::vector<Doubles>& hidden, const KvSpec& kv,
                           const Codec& codec, const Witness& witness) const {
  const int q_rows = n_heads_ * head_dim_;
  const int k_rows = n_kv_heads_ * head_dim_;
  const int v_rows = n_kv_heads_ * value_dim_;
  const int all_rows = q_rows + k_rows + v_rows;
  const Matrix output =
      matrix(in_layer(layer.index, "attn_output.weight"), n_embd_, n_heads_ * value_dim_);
  Rows keys{head_dim_, {}, {}};
  Rows values{value_dim_, {}, {}};
  for (std::size_t t = 0; t < hidden.size(); ++t) {
    const Doubles x = norm(in_layer(layer.index, "attn_norm.weight"), hidden[t]);
    Doubles q = project(layer, "attn_q", q_rows, 0, all_rows, x);
    Doubles k = project(layer, "attn_k", k_rows, q_rows, all_rows, x);
    const Doubles v = project(layer, "attn_v", v_rows, q_rows + k_rows, all_rows, x);
    prepare_heads(layer, "attn_q", n_heads_, t, q);
    prepare_heads(layer, "attn_k", n_kv_heads_, t, k);
    remember(keys, kv.key, codec, k);
    remember(values, kv.value, codec, v);
    Doubles attended =
        multiply(output.values, 0, output.rows, attend(layer, kv, keys, values, q, t, witness));
    if (gemma_) attended = norm(in_layer(layer.index, "post_attention_norm.weight"), attended);
    add(hidden[t], attended);
    Doubles fed = feed_forward(layer, norm(in_layer(layer.index, "ffn_norm.weight"), hidden[t]));
    if (gemma_) fed = norm(in_layer(layer.index, "post_ffw_norm.weight"), fed);
    add(hidden[t], fed);
  }
}

/// One of q, k and v, which phi3 keeps in one tensor.
Doubles NaiveModel::project(const Layer& layer, const std::string& which, int rows,
                            int fused_offset, int fused_rows, const Doubles& x) const {
  if (architecture_ == "phi3") {
    const Matrix fused = matrix(in_layer(layer.index, "attn_qkv.weight"), fused_rows, n_embd_);
    return multiply(fused.values, to_size(fused_offset), to_size(rows), x);
  }
  const Matrix w = matrix(in_layer(layer.index, which + ".weight"), rows, n_embd_);
  Doubles y = multiply(w.values, 0, w.rows, x);
  if (const float* bias = tensor(in_layer(layer.index, which + ".bias"), w.rows, true)) {
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += static_cast<double>(bias[i]);
  }
  return y;
}

/// Norm of each head where the model has one, then RoPE.
void NaiveModel::prepare_heads(const Layer& layer, const std::string& which, int n_heads,
                               std::size_t position, Doubles& heads) const {
  const std::size_t dim = to_size(head_dim_);
  const std::size_t pairs = to_size(n_rot_ / 2);
  const float* weight = tensor(in_layer(layer.index, which + "_norm.weight"), dim, true);
  for (std::size_t head = 0; head < to_size(n_heads); ++head) {
    if (weight != nullptr) rms_norm(heads, head * dim, dim, weight, eps_);
    for (std::size_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(position) / rope_divisors_[i] *
                           std::pow(layer.rope_base, -2.0 * static_cast<double>(i) / n_rot_);
      double& a = heads[head * dim + (architecture_ == "llama" ? 2 * i : i)];
      double& b = heads[head * dim + (architecture_ == "llama" ? 2 * i + 1 : i + pairs)];
      const double turned = a * std::cos(angle) - b * std::sin(angle);
      b = rope_magnitude_ * (a * std::sin(angle) + b * std::cos(angle));
      a = rope_magnitude_ * turned;
    }
  }
}

void NaiveModel::remember(Rows& rows, const KvSide& side, const Codec& codec, Doubles row) const {
  Doubles decoded;
  for (auto head = row.begin(); head != row.end(); head += rows.dim) {
    std::vector<float> values;
    std::transform(head, head + rows.dim, std::back_inserter(values),
                   [](double x) { return static_cast<float>(x); });
    const std::vector<float> read = codec(side.type, values);
    decoded.insert(decoded.end(), read.begin(), read.end());
  }
  rows.exact.push_back(std::move(row));
  rows.decoded.push_back(std::move(decoded));
}

Doubles NaiveModel::attend(const Layer& layer, const KvSpec& kv, const Rows& keys,
                           const Rows& values, const Doubles& queries, std::size_t t,
                           const Witness& witness) const {
  const std::size_t dim = to_size(head_dim_);
  const std::size_t value_dim = to_size(value_dim_);
  const auto query_position = static_cast<std::int64_t>(t);
  Doubles out(to_size(n_heads_) * value_dim, 0.0);
  for (std::size_t head = 0; head < to_size(n_heads_); ++head) {
    const std::size_t kv_head = head / to_size(n_heads_ / n_kv_heads_);
    Doubles weights(t + 1, 0.0);
    double sum = 0.0;
    for (std::size_t i = 0; i <= t; ++i) {
      const auto position = static_cast<std::int64_t>(i);
      if (!is_visible(layer.sliding_window, position, query_position)) continue;
      const bool exact = is_exact(kv.key, position, query_position);
      const Doubles& key = exact ? keys.exact[i] : keys.decoded[i];
      double score = 0.0;
      for (std::size_t j = 0; j < dim; ++j) {
        score += queries[head * dim + j] * key[kv_head * dim + j];
      }
      weights[i] = std::exp(softcap(score / std::sqrt(head_dim_), attention_softcap_));
      sum += weights[i];
    }
    for (double& weight : weights) weight /= sum;
    if (witness) witness(layer.index, static_cast<int>(head), query_position, weights);
    for (std::size_t i = 0; i <= t; ++i) {
      const bool exact = is_exact(kv.value, static_cast<std::int64_t>(i), query_position);
      const Doubles& value = exact ? values.exact[i] : values.decoded[i];
      for (std::size_t j = 0; j < value_dim; ++j) {
        out[head * value_dim + j] += weights[i] * value[kv_head * value_dim + j];
      }
    }
  }
  return out;
}

Doubles NaiveModel::feed_forward(const Layer& layer, const Doubles& x) const {
  const std::size_t n_ff = to_size(n_ff_);
  Doubles gate;
  Doubles up;
  if (architecture_ == "phi3") {
    const Matrix fused = matrix(in_layer(layer.index, "ffn_up.weight"), 2 * n_ff_, n_embd_);
    gate = multiply(fused.values, 0, n_ff, x);
    up = multiply(fused.values, n_ff, n_ff, x);
  } else {
    gate = multiply(matrix(in_layer(layer.index, "ffn_gate.weight"), n_ff_, n_embd_).values, 0,
                    n_ff, x);
    up =
        multiply(matrix(in_layer(layer.index, "ffn_up.weight"), n_ff_, n_embd_).values, 0, n_ff, x);
  }
  for (std::size_t i = 0; i < n_ff; ++i)
    gate[i] = (gemma_ ? gelu_tanh(gate[i]) : silu(gate[i])) * up[i];
  const Matrix down = matrix(in_layer(layer.index, "ffn_down.weight"), n_embd_, n_ff_);
  return multiply(down.values, 0, down.rows, gate);
}

}  // namespace quant::test
