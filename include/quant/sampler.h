// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/tokenizer.h"

namespace quant {

struct SamplerOptions {
  float temperature = 0.0f;     ///< 0 = always the most likely token
  int top_k = 40;               ///< keep the k most likely; 0 = all
  float top_p = 0.95f;          ///< keep the smallest set that holds this probability; 1 = all
  float min_p = 0.05f;          ///< keep what has at least this share of the best; 0 = all
  float repeat_penalty = 1.0f;  ///< divides the logits of recent tokens; 1 = none
  int repeat_last = 64;         ///< how many recent tokens the penalty looks at
  std::uint64_t seed = 0;
};

/// Deterministic for a seed. Filters apply in the order penalty, top-k, top-p,
/// min-p, temperature, as llama.cpp's default chain does.
class Sampler {
 public:
  /// Throws Error(kUsage) for values that make no sense.
  explicit Sampler(const SamplerOptions& options);

  /// Samples from logits [n_vocab], given the tokens so far. Throws Error(kEvaluation) if no logit
  /// is finite.
  Token sample(std::span<const float> logits, std::span<const Token> history);

 private:
  struct Candidate {
    Token token;
    float logit;
    double probability;
  };
  void penalize(std::span<const Token> history);
  void keep_likely();

  SamplerOptions options_;
  std::uint64_t state_;  // of a SplitMix64 stream
  std::vector<Candidate> candidates_;
};

}  // namespace quant
