// Several KV formats on the same tokens at the same time.
#pragma once

#include <memory>
#include <span>

#include "quant/session.h"

namespace quant {

/// Sequences that hold the same tokens in caches of different formats. Each weight is read once for
/// all of them; activations are each sequence's own. Every loss equals that of a Session of the
/// same format in every bit.
class Lockstep {
 public:
  /// One sequence a spec, at least one; options.kv is not looked at, options.batch counts tokens.
  /// Throws what Session's constructor throws.
  Lockstep(std::shared_ptr<const Model> model, const SessionOptions& options,
           std::span<const KvSpec> specs);
  ~Lockstep();
  Lockstep(Lockstep&&) noexcept;
  Lockstep& operator=(Lockstep&&) noexcept;

  /// Forgets all tokens; keeps the memory.
  void reset() noexcept;
  /// Appends tokens to every sequence. For each i with targets[i] >= 0 and each sequence s,
  /// losses[s · tokens + i] is the loss of targets[i] after tokens[i], and divergences[s · tokens +
  /// i] the Kullback-Leibler divergence, in nats, of the distribution of sequence s from that of
  /// sequence 0: KL(0 ‖ s). The others are left alone. Holds no more logits than a tile of the
  /// vocabulary. Throws what Session::append throws.
  void append(std::span<const Token> tokens, std::span<const Token> targets,
              std::span<TokenLoss> losses, std::span<double> divergences);

  int size() const noexcept;
  const Model& model() const noexcept;
  const SessionOptions& options() const noexcept;
  const KvSpec& spec(int sequence) const noexcept;
  CacheMemory cache_memory(int sequence) const noexcept;
  /// As Session::rope_factors.
  std::string_view rope_factors() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quant
