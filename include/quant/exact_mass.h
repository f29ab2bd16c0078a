// How much of the attention falls on exact (FP32) rows of the cache.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "quant/attention_observer.h"
#include "quant/kv_spec.h"
#include "quant/model.h"

namespace quant {

/// Means over queries, heads and layers; each weight counts for the key and for the value it is of.
struct ExactMassShare {
  double keys = 0.0;    ///< attention on keys that are exact for the query
  double values = 0.0;  ///< attention on values that are
  std::int64_t queries = 0;
};
/// The mean over the queries of both.
ExactMassShare pooled(const ExactMassShare& a, const ExactMassShare& b);

/// Sums it up for every sequence by the view rule of docs/kv-formats.md. FP32 sides are exact.
class ExactMass final : public AttentionObserver {
 public:
  /// One spec a sequence.
  ExactMass(const ModelConfig& config, std::span<const KvSpec> specs);
  ~ExactMass() override;

  void observe(const AttentionRow& row) noexcept override;
  ExactMassShare share(int sequence) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quant
