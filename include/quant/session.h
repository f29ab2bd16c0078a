// One sequence of tokens going through a model, with its KV cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "quant/cpu.h"
#include "quant/kv_spec.h"
#include "quant/model.h"

namespace quant {

class AttentionObserver;

/// exact: FP32 activations and accumulation. fast: activations rounded to int8 in blocks of 32
/// before each product with quantized weights; weights stored as floats stay exact.
enum class MathMode { kExact, kFast };

std::string_view math_mode_name(MathMode mode) noexcept;
/// Throws Error(kUsage).
MathMode parse_math_mode(std::string_view name);

struct SessionOptions {
  KvSpec kv;
  int context = 0;  ///< most positions the session may hold; 0 = the model's context length
  int reserve = 0;  ///< positions to allocate now; the cache grows in steps beyond them
  int batch = 512;  ///< tokens that go through the layers together
  int threads = 1;
  MathMode math = MathMode::kExact;
  Isa isa = best_isa();
  /// Sees what the queries attend to: all of append(tokens), and of append(tokens, targets, losses)
  /// those with a target. Not owned; must outlive the session.
  AttentionObserver* observer = nullptr;
};

/// Loss of one target token, and what the model would have said.
struct TokenLoss {
  double nll;    ///< natural-log loss, in nats
  Token argmax;  ///< the first most likely token
};

/// Bytes of a session's cache.
struct CacheMemory {
  std::size_t allocated;  ///< asked of the allocator
  std::size_t formula;    ///< what row sizes, sinks and windows come to
  double key_bits;        ///< allocated bits of packed keys per value
  double value_bits;
  std::int64_t positions;  ///< positions the cache has room for
};

/// Mutable; not for use by two threads at once. Results do not depend on the batch size, on how a
/// text is divided into calls, or on the number of threads: not in one bit.
class Session {
 public:
  /// Throws Error(kUsage) for options that cannot be or a model without packed weights,
  /// Error(kModel) if the format cannot hold the model's head_dim.
  Session(std::shared_ptr<const Model> model, const SessionOptions& options);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Forgets all tokens; keeps the memory.
  void reset() noexcept;
  /// A place to come back to: what was appended after mark() is forgotten by rewind(). Costs a copy
  /// of the exact rows and of sliding-window layers, not of the whole cache.
  /// Throws Error(kUsage) after a refused row.
  class Mark;
  Mark mark() const;
  void rewind(const Mark& mark) noexcept;
  /// Tokens held so far.
  std::int64_t position() const noexcept;

  /// Appends tokens. Throws Error(kUsage) beyond the context, Error(kEvaluation) if a key or value
  /// is not finite or does not fit the format (named by layer and position); only reset() and
  /// rewind() are possible then.
  void append(std::span<const Token> tokens);
  /// The same, and for each i with targets[i] >= 0 the loss of targets[i] after tokens[i];
  /// losses[i] of other i is left alone. Holds no more logits than a tile of the vocabulary.
  void append(std::span<const Token> tokens, std::span<const Token> targets,
              std::span<TokenLoss> losses);
  /// Appends tokens and returns all their logits, [tokens][n_vocab].
  std::vector<float> append_with_logits(std::span<const Token> tokens);
  /// Logits after the last token, [n_vocab]; valid until the next call.
  std::span<const float> logits();
  /// Logits after tokens first…first + count - 1 of the last batch that went through the layers
  /// (the last tokens appended, at most options().batch), [count][n_vocab]; valid until the next
  /// call. Throws Error(kUsage) beyond that batch.
  std::span<const float> logits(std::size_t first, std::size_t count);

  const Model& model() const noexcept;
  const SessionOptions& options() const noexcept;
  /// Which of LongRoPE's factors the session's context chose: "long" or "short"; "" without
  /// LongRoPE.
  std::string_view rope_factors() const noexcept;
  CacheMemory cache_memory() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Session::Mark {
 public:
  ~Mark();
  Mark(Mark&&) noexcept;
  Mark& operator=(Mark&&) noexcept;

 private:
  friend class Session;
  struct Contents;
  explicit Mark(std::unique_ptr<const Contents> contents);
  std::unique_ptr<const Contents> contents_;
};

}  // namespace quant
