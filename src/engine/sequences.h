// Sequences of the same tokens in caches of different formats, going through a model together.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "engine/output_head.h"
#include "engine/transformer.h"
#include "kv/cache.h"
#include "quant/session.h"

namespace quant {

/// What Session (one sequence) and Lockstep (several) are made of.
class Sequences {
 public:
  /// Throws what Session's constructor throws. options.kv is not looked at.
  Sequences(std::shared_ptr<const Model> model, const SessionOptions& options,
            std::span<const KvSpec> specs);

  /// Throws Error(kUsage) after a refused row: layers before it have taken the batch in.
  void require_whole() const;
  void reset() noexcept { forget_from(0); }
  /// Goes on at a position whose predecessors are in the caches.
  void forget_from(std::int64_t position) noexcept;

  /// Runs tokens batch by batch; visit(first, n) is called after each, when hidden() is its last
  /// layer's. options.observer sees the tokens with a target, all if `targets` is empty. Throws
  /// Error(kUsage) beyond the context and Error(kEvaluation) if a row is refused.
  template <class Visit>
  void run(std::span<const Token> tokens, std::span<const Token> targets, const Visit& visit);
  /// Losses and, for several sequences, divergences of all tokens; arrays as in Lockstep::append.
  void run_losses(std::span<const Token> tokens, std::span<const Token> targets,
                  std::span<TokenLoss> losses, std::span<double> divergences);
  /// Logits of the last batch's tokens [first, first + n) of a single sequence.
  void logits(std::size_t first, std::size_t n, float* logits);

  const Model& model() const noexcept { return *model_; }
  const SessionOptions& options() const noexcept { return options_; }
  std::span<const KvSpec> specs() const noexcept { return specs_; }
  std::int64_t position() const noexcept { return position_; }
  /// Tokens of each sequence whose hidden states are at hand.
  std::size_t last_batch() const noexcept { return last_batch_; }
  KvCache& cache(int sequence) noexcept { return caches_[static_cast<std::size_t>(sequence)]; }
  CacheMemory memory(int sequence) const noexcept;
  std::string_view rope_factors() const noexcept;

 private:
  void reserve(std::int64_t wanted);
  /// Checks tokens and makes room for them.
  void prepare(std::span<const Token> tokens);
  template <class Visit>
  void run_batches(std::span<const Token> tokens, std::span<const Token> targets,
                   const Visit& visit);
  void run_batch(std::span<const Token> tokens, std::span<const Token> targets);

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  std::vector<KvSpec> specs_;
  std::vector<KvCache> caches_;  // [sequences]
  Transformer transformer_;
  OutputHead head_;
  std::int64_t position_ = 0;
  std::int64_t reserved_ = 0;
  bool refused_ = false;
  std::size_t last_batch_ = 0;
  std::span<const float> hidden_;  // [last batch][sequences][n_embd]
};

template <class Visit>
void Sequences::run(std::span<const Token> tokens, std::span<const Token> targets,
                    const Visit& visit) {
  prepare(tokens);
  with_crew(options_.threads, [&] { run_batches(tokens, targets, visit); });
}

template <class Visit>
void Sequences::run_batches(std::span<const Token> tokens, std::span<const Token> targets,
                            const Visit& visit) {
  for (std::size_t first = 0; first < tokens.size();) {
    const std::size_t n = std::min(tokens.size() - first, static_cast<std::size_t>(options_.batch));
    run_batch(tokens.subspan(first, n), targets.empty() ? targets : targets.subspan(first, n));
    visit(first, n);
    first += n;
  }
}

}  // namespace quant
