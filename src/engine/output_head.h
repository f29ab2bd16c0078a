// From final hidden states to logits and losses, a tile of the vocabulary at a time.
#pragma once

#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/linear.h"
#include "kernels/kernels.h"
#include "model/weights.h"
#include "quant/session.h"

namespace quant {

/// Where losses and divergences go, [sequences][stride]; entry i of a row belongs to token i.
struct LossRows {
  std::span<TokenLoss> losses;
  std::span<double> divergences;  ///< not touched for a single sequence
  std::size_t stride;
};

class OutputHead {
 public:
  /// input_group: of the Linear whose inputs it multiplies, for the output matrix.
  OutputHead(const Model& model, const SessionOptions& options, int n_sequences, int input_group);

  /// logits[i][v] for hidden [m][n_embd]; logits is [m][n_vocab].
  void logits(Linear& linear, const float* hidden, int m, float* logits);
  /// For each i with targets[i] >= 0 and hidden [tokens][sequences][n_embd] the loss of targets[i]
  /// in every sequence, and KL(first sequence ‖ sequence) where there are several. Logits are FP32,
  /// their sums of exponentials are double, tiles are merged in ascending order. Throws
  /// Error(kEvaluation) if a loss is not finite.
  void losses(Linear& linear, const float* hidden, std::span<const Token> targets,
              const LossRows& out);

 private:
  /// Softmax of one row, its tiles merged.
  struct Softmax {
    double maximum;
    double sum;  // of exp(logit - maximum)
    Token argmax;
    double log_sum_exp() const noexcept;
  };

  template <class Visit>
  void for_each_tile(const Linear& linear, int first, int count, const Visit& visit) noexcept;
  std::int64_t n_tiles() const noexcept;
  void reduce_tile(std::int64_t tile, int n_rows, const float* logits,
                   std::span<const Token> targets, float* weights) noexcept;
  void merge_token(std::size_t token, Token target, std::size_t at, const LossRows& out) const;
  Softmax merged(std::size_t row) const noexcept;
  double divergence(std::size_t row, const Softmax& base, const Softmax& other) const noexcept;

  const ModelConfig& config_;
  const Matrix& output_;
  const Kernels& kernels_;
  int threads_;
  int n_sequences_;
  int tile_rows_;                              // a multiple of n_sequences_
  std::vector<AlignedBuffer<float>> tiles_;    // [threads][rows of x][vocabulary tile]
  std::vector<AlignedBuffer<float>> weights_;  // [threads][vocabulary tile]
  // Of the rows of x that are worked on:
  AlignedBuffer<LogSumExpPart> parts_;  // [rows][vocabulary tiles]
  AlignedBuffer<double> differences_;   // [rows][vocabulary tiles], Σ exp(b - max b)·(b - logit)
  std::vector<float> target_logits_;    // [rows]
};

}  // namespace quant
