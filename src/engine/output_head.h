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

class OutputHead {
 public:
  OutputHead(const Model& model, const SessionOptions& options);

  /// logits[i][v] for hidden [m][n_embd]; logits is [m][n_vocab].
  void logits(Linear& linear, const float* hidden, int m, float* logits);
  /// For each i with targets[i] >= 0 the loss of targets[i]; the others are left alone. Logits are
  /// FP32, their sum of exponentials is double, tiles are merged in ascending order. Throws
  /// Error(kEvaluation) if a loss is not finite.
  void losses(Linear& linear, const float* hidden, std::span<const Token> targets,
              std::span<TokenLoss> losses);

 private:
  template <class Visit>
  void for_each_tile(const Linear& linear, int first, int count, const Visit& visit) noexcept;
  std::int64_t n_tiles() const noexcept;
  TokenLoss merged_loss(int row, Token target, float target_logit) const;

  const ModelConfig& config_;
  const Matrix& output_;
  const Kernels& kernels_;
  int threads_;
  std::vector<AlignedBuffer<float>> tiles_;  // [threads][rows of x][vocabulary tile]
  AlignedBuffer<LogSumExpPart> parts_;       // [rows of x][vocabulary tiles]
  std::vector<float> target_logits_;         // [rows of x]
};

}  // namespace quant
