#include "engine/transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/memory_advice.h"
#include "base/parallel.h"
#include "base/to_size.h"
#include "quant/error.h"

namespace quant {
namespace {

std::int64_t longest_row(const ModelConfig& config) {
  return std::max({config.n_embd, config.n_ff, config.n_heads * config.value_dim});
}

}  // namespace

Transformer::Transformer(const Model& model, const SessionOptions& options, int n_sequences)
    : config_(model.config()),
      weights_(model.weights()),
      kernels_(kernels_for(options.isa)),
      threads_(options.threads),
      max_batch_(options.batch),
      n_sequences_(n_sequences),
      act_(config_, options.batch * n_sequences),
      linear_(kernels_, options.math, options.threads, options.batch * n_sequences,
              longest_row(config_), weights_.has_float_panels),
      attention_(config_, kernels_, options.math, options.threads, options.batch) {
  for (const RopeConfig& rope : config_.ropes) ropes_.emplace_back(rope, options.context);
  if (options.observer != nullptr) {
    probe_.emplace(config_, kernels_, options.threads, options.batch, *options.observer);
  }
}

void Transformer::reserve(std::int64_t positions) {
  for (RopeTable& rope : ropes_) rope.reserve(positions);
  attention_.reserve(positions);
  if (probe_.has_value()) probe_->reserve(positions);
}

std::span<const float> Transformer::forward(std::span<const Token> tokens,
                                            std::int64_t first_position, std::span<KvCache> caches,
                                            std::span<const Token> targets) {
  const int length = static_cast<int>(tokens.size());
  const int n_tokens = length * n_sequences_;
  embed(tokens);
  for (int layer = 0; layer < config_.n_layers; ++layer) {
    block({first_position, n_tokens, length, layer, weights_.layers[to_size(layer)], caches,
           targets});
  }
  final_norm(length);
  return {act_.normed.data(), to_size(n_tokens) * to_size(config_.n_embd)};
}

/// Rows are read in the mapped file. Each first touch makes some 64 KiB around it resident, which
/// in time would be the whole table: so its pages are given back now and then.
void Transformer::embed(std::span<const Token> tokens) noexcept {
  constexpr std::size_t kLookups = 512;
  const Matrix& table = weights_.embedding;
  if (lookups_ >= kLookups) {
    release_pages(table.data, to_size(table.rows) * table.row_bytes);
    lookups_ = 0;
  }
  lookups_ += tokens.size();
  const WeightKernels& kernels = weight_kernels(kernels_, table.type);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    float* row = act_.hidden.data() + i * to_size(config_.n_embd);
    kernels.decode_row(table.data + to_size(tokens[i]) * table.row_bytes, table.cols, row);
    if (config_.embedding_scale != 1.0f) {
      kernels_.scale(row, config_.embedding_scale, config_.n_embd);
    }
  }
  const std::size_t one = tokens.size() * to_size(config_.n_embd);
  for (int s = 1; s < n_sequences_; ++s) {
    std::copy_n(act_.hidden.data(), one, act_.hidden.data() + to_size(s) * one);
  }
}

void Transformer::block(const Batch& batch) {
  norm(act_.hidden.data(), batch.weights.attn_norm, batch.n_tokens, act_.normed.data());
  project_qkv(batch);
  normalize_heads(batch);
  rotate(batch);
  append(batch);
  attend(batch);
  add_residual(batch.weights.post_attn_norm, batch.n_tokens);
  norm(act_.hidden.data(), batch.weights.ffn_norm, batch.n_tokens, act_.normed.data());
  feed_forward(batch);
  add_residual(batch.weights.post_ffn_norm, batch.n_tokens);
}

void Transformer::project_qkv(const Batch& batch) noexcept {
  const LayerWeights& w = batch.weights;
  linear_.set_input(act_.normed.data(), batch.n_tokens, config_.n_embd);
  const Linear::Product products[] = {
      {w.q, act_.queries.data()}, {w.k, act_.keys.data()}, {w.v, act_.values.data()}};
  linear_.multiply(products);
  add_bias(act_.queries.data(), w.q_bias, batch.n_tokens, config_.n_heads * config_.key_dim);
  add_bias(act_.keys.data(), w.k_bias, batch.n_tokens, config_.n_kv_heads * config_.key_dim);
  add_bias(act_.values.data(), w.v_bias, batch.n_tokens, config_.n_kv_heads * config_.value_dim);
}

/// A task is a token with all of its heads, here and in rotate: waiting for other threads takes
/// longer than the heads of a single token.
void Transformer::normalize_heads(const Batch& batch) noexcept {
  const LayerWeights& w = batch.weights;
  if (w.q_norm == nullptr && w.k_norm == nullptr) return;
  const auto normalize = [&](float* head, Vector weight, int n_heads) {
    if (weight == nullptr) return;
    for (int h = 0; h < n_heads; ++h, head += config_.key_dim) {
      kernels_.rms_norm(head, weight, config_.norm_eps, config_.key_dim, head);
    }
  };
  parallel_for(threads_, batch.n_tokens, [&](std::int64_t i, int) {
    normalize(act_.queries.data() + i * config_.n_heads * config_.key_dim, w.q_norm,
              config_.n_heads);
    normalize(act_.keys.data() + i * config_.n_kv_heads * config_.key_dim, w.k_norm,
              config_.n_kv_heads);
  });
}

/// Also scales the queries, so that attention's scores need no factor.
void Transformer::rotate(const Batch& batch) noexcept {
  const RopeTable& rope = ropes_[to_size(config_.layers[to_size(batch.layer)].rope)];
  parallel_for(threads_, batch.n_tokens, [&](std::int64_t i, int) {
    const std::int64_t position = batch.first_position + i % batch.length;
    const float* cos = rope.cos(position);
    const float* sin = rope.sin(position);
    float* queries = act_.queries.data() + i * config_.n_heads * config_.key_dim;
    for (int head = 0; head < config_.n_heads; ++head) {
      kernels_.rope(queries + head * config_.key_dim, cos, sin, rope.n_rot(), rope.style());
    }
    kernels_.scale(queries, config_.attention_scale, config_.n_heads * config_.key_dim);
    float* keys = act_.keys.data() + i * config_.n_kv_heads * config_.key_dim;
    for (int head = 0; head < config_.n_kv_heads; ++head) {
      kernels_.rope(keys + head * config_.key_dim, cos, sin, rope.n_rot(), rope.style());
    }
  });
}

void Transformer::append(const Batch& batch) {
  for (int sequence = 0; sequence < n_sequences_; ++sequence) append(batch, sequence);
}

void Transformer::append(const Batch& batch, int sequence) {
  // Position and side of the first refusal, so that the message does not depend on thread timing.
  std::atomic<std::int64_t> refused{INT64_MAX};
  const auto store = [&](KvStore& to, const float* from, float* exact, int head,
                         PositionRange positions) {
    const KvKernels& kernels = kv_kernels(kernels_, to.side().type);
    const std::int64_t dim = to.head_dim();
    const std::int64_t heads = config_.n_kv_heads;
    for (std::int64_t p = positions.begin; p < positions.end; ++p) {
      const std::int64_t i = p - batch.first_position;
      const float* row = from + ((sequence * batch.length + i) * heads + head) * dim;
      if (to.has_exact_rows()) {
        std::memcpy(exact + ((sequence * heads + head) * max_batch_ + i) * dim, row,
                    to_size(dim) * sizeof(float));
      }
      if (to.encode(kernels, head, p, row)) continue;
      const std::int64_t mine = p * 2 + (to.role() == KvRole::kKeys ? 0 : 1);
      std::int64_t first = refused.load();
      while (mine < first && !refused.compare_exchange_weak(first, mine)) {
      }
    }
  };
  KvStore& keys = batch.caches[to_size(sequence)].keys(batch.layer);
  KvStore& values = batch.caches[to_size(sequence)].values(batch.layer);
  // A task is one side of a head's panel, whose rows may share bytes.
  const PositionRange all{batch.first_position, batch.first_position + batch.length};
  const std::int64_t first_panel = all.begin / kKvPanelRows;
  const std::int64_t panels = (all.end - 1) / kKvPanelRows - first_panel + 1;
  const int threads = batch.length > 1 ? threads_ : 1;  // waiting takes longer than a token's rows
  parallel_for(threads, panels * config_.n_kv_heads * 2, [&](std::int64_t task, int) {
    const std::int64_t panel = first_panel + task / 2 / config_.n_kv_heads;
    const int head = static_cast<int>(task / 2 % config_.n_kv_heads);
    const auto positions =
        PositionRange{panel * kKvPanelRows, (panel + 1) * kKvPanelRows}.clipped_to(all);
    if (task % 2 == 0) {
      store(keys, act_.keys.data(), act_.exact_keys.data(), head, positions);
    } else {
      store(values, act_.values.data(), act_.exact_values.data(), head, positions);
    }
  });
  if (const std::int64_t at = refused.load(); at != INT64_MAX) {
    const KvStore& at_fault = at % 2 == 0 ? keys : values;
    throw Error(ErrorKind::kEvaluation,
                fmt::format("layer {}, position {}: a {} is not finite or exceeds what {} can hold",
                            batch.layer, at / 2, at % 2 == 0 ? "key" : "value",
                            kv_format_info(at_fault.side().type).name));
  }
}

void Transformer::attend(const Batch& batch, int sequence) noexcept {
  KvStore& keys = batch.caches[to_size(sequence)].keys(batch.layer);
  KvStore& values = batch.caches[to_size(sequence)].values(batch.layer);
  const std::int64_t tokens_before = std::int64_t{sequence} * batch.length;
  const std::int64_t rows_before = std::int64_t{sequence} * max_batch_ * config_.n_kv_heads;
  const float* exact_keys = act_.exact_keys.data() + rows_before * config_.key_dim;
  const float* exact_values = act_.exact_values.data() + rows_before * config_.value_dim;
  const AttentionBatch queries{
      .first_position = batch.first_position,
      .n_tokens = batch.length,
      .sliding_window = config_.layers[to_size(batch.layer)].sliding_window,
      .queries = act_.queries.data() + tokens_before * config_.n_heads * config_.key_dim,
      .exact_keys = exact_keys,
      .exact_values = exact_values,
      .out = act_.attended.data() + tokens_before * config_.n_heads * config_.value_dim};
  attention_(keys, values, queries);
  if (probe_.has_value()) (*probe_)(sequence, batch.layer, keys, queries, batch.targets);
  const std::int64_t end = batch.first_position + batch.length;
  const std::size_t rows = to_size(max_batch_);
  keys.commit(batch.first_position, end, exact_keys, rows * to_size(config_.key_dim));
  values.commit(batch.first_position, end, exact_values, rows * to_size(config_.value_dim));
}

void Transformer::attend(const Batch& batch) noexcept {
  for (int sequence = 0; sequence < n_sequences_; ++sequence) attend(batch, sequence);
  linear_.set_input(act_.attended.data(), batch.n_tokens, config_.n_heads * config_.value_dim);
  const Linear::Product product[] = {{batch.weights.o, act_.projected.data()}};
  linear_.multiply(product);
  add_bias(act_.projected.data(), batch.weights.o_bias, batch.n_tokens, config_.n_embd);
}

void Transformer::feed_forward(const Batch& batch) noexcept {
  linear_.set_input(act_.normed.data(), batch.n_tokens, config_.n_embd);
  const Linear::Product products[] = {{batch.weights.gate, act_.gate.data()},
                                      {batch.weights.up, act_.up.data()}};
  linear_.multiply(products);
  parallel_for(threads_, batch.n_tokens, [&](std::int64_t i, int) {
    kernels_.gated_activation(act_.gate.data() + i * config_.n_ff,
                              act_.up.data() + i * config_.n_ff, config_.n_ff, config_.activation);
  });
  linear_.set_input(act_.gate.data(), batch.n_tokens, config_.n_ff);
  const Linear::Product product[] = {{batch.weights.down, act_.projected.data()}};
  linear_.multiply(product);
}

/// The output head works on all sequences of a token together: [token][sequence].
void Transformer::final_norm(int length) noexcept {
  parallel_for(threads_, std::int64_t{length} * n_sequences_, [&](std::int64_t row, int) {
    const std::int64_t to = row % length * n_sequences_ + row / length;
    kernels_.rms_norm(act_.hidden.data() + row * config_.n_embd, weights_.output_norm,
                      config_.norm_eps, config_.n_embd, act_.normed.data() + to * config_.n_embd);
  });
}

void Transformer::norm(const float* x, Vector weight, int n_tokens, float* out) noexcept {
  parallel_for(threads_, n_tokens, [&](std::int64_t i, int) {
    kernels_.rms_norm(x + i * config_.n_embd, weight, config_.norm_eps, config_.n_embd,
                      out + i * config_.n_embd);
  });
}

void Transformer::add_bias(float* x, Vector bias, int n_tokens, int n) noexcept {
  if (bias == nullptr) return;
  parallel_for(threads_, n_tokens, [&](std::int64_t i, int) { kernels_.add(x + i * n, bias, n); });
}

/// hidden += projected, after the norm that some architectures put there.
void Transformer::add_residual(Vector post_norm, int n_tokens) noexcept {
  float* projected = act_.projected.data();
  if (post_norm != nullptr) norm(projected, post_norm, n_tokens, projected);
  parallel_for(threads_, n_tokens, [&](std::int64_t i, int) {
    kernels_.add(act_.hidden.data() + i * config_.n_embd, projected + i * config_.n_embd,
                 config_.n_embd);
  });
}

}  // namespace quant
