// The forward pass of a batch of tokens, from ids to final hidden states, for one sequence or for
// several that hold the same tokens in caches of different formats. Rows of activations are
// [sequence][token]: linear products see all of them, so that a weight is read once, rotation goes
// by the token's position, appending and attention run for each cache.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/activations.h"
#include "engine/attention.h"
#include "engine/attention_probe.h"
#include "engine/linear.h"
#include "engine/rope_table.h"
#include "kernels/kernels.h"
#include "kv/cache.h"
#include "model/weights.h"
#include "quant/session.h"

namespace quant {

/// One path for prefill and decode: a single token is a batch of one.
class Transformer {
 public:
  /// options must be complete: context, batch (tokens of each sequence) and threads set.
  Transformer(const Model& model, const SessionOptions& options, int n_sequences);

  /// Makes ready for positions [0, positions).
  void reserve(std::int64_t positions);
  /// Runs tokens (at most options.batch) at positions first_position… through all layers and the
  /// final norm, appending to the cache of every sequence. Returns [tokens][sequences][n_embd],
  /// valid until the next call. options.observer sees the tokens with a target, all if `targets` is
  /// empty. Throws Error(kEvaluation) if a format refuses a key or value.
  std::span<const float> forward(std::span<const Token> tokens, std::int64_t first_position,
                                 std::span<KvCache> caches, std::span<const Token> targets);
  Linear& linear() noexcept { return linear_; }

 private:
  struct Batch {
    std::int64_t first_position;
    int n_tokens;  // of all sequences together
    int length;    // positions by which each sequence grows
    int layer;
    const LayerWeights& weights;
    std::span<KvCache> caches;       // [sequences]
    std::span<const Token> targets;  // [length], or empty
  };

  void embed(std::span<const Token> tokens) noexcept;
  void block(const Batch& batch);
  void project_qkv(const Batch& batch) noexcept;
  void normalize_heads(const Batch& batch) noexcept;
  void rotate(const Batch& batch) noexcept;
  void append(const Batch& batch);
  void append(const Batch& batch, int sequence);
  void attend(const Batch& batch) noexcept;
  void attend(const Batch& batch, int sequence) noexcept;
  void feed_forward(const Batch& batch) noexcept;
  void final_norm(int length) noexcept;
  void norm(const float* x, Vector weight, int n_tokens, float* out) noexcept;
  void add_bias(float* x, Vector bias, int n_tokens, int n) noexcept;
  void add_residual(Vector post_norm, int n_tokens) noexcept;

  const ModelConfig& config_;
  const ModelWeights& weights_;
  const Kernels& kernels_;
  int threads_;
  int max_batch_;  // tokens of each sequence
  int n_sequences_;
  std::vector<RopeTable> ropes_;
  Activations act_;
  Linear linear_;
  Attention attention_;
  std::optional<AttentionProbe> probe_;
  std::size_t lookups_ = 0;  // of embeddings, since the table's pages were given back
};

}  // namespace quant
