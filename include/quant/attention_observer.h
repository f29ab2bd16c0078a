// Looking on while a model attends.
#pragma once

#include <cstdint>
#include <span>

namespace quant {

/// What one head of one query attends to.
struct AttentionRow {
  int sequence;  ///< 0 in a Session
  int layer;
  int head;  ///< of the queries
  /// The query's. It sees the keys at [position + 1 - weights.size(), position].
  std::int64_t position;
  /// The softmax over those keys, ascending: FP32 scores of the keys as the cache holds them, in
  /// double from there on. They add up to 1.
  std::span<const double> weights;
};

/// Is shown what every query attends to; see SessionOptions::observer. The engine computes these
/// weights a second time for it, which takes longer than attention itself; no other result changes
/// in a single bit.
class AttentionObserver {
 public:
  virtual ~AttentionObserver() = default;
  /// Rows of one sequence, layer and head come one at a time with ascending positions, whatever the
  /// batch and the number of threads; rows of different heads may come on different threads at the
  /// same time. The weights are valid during the call.
  virtual void observe(const AttentionRow& row) noexcept = 0;
};

}  // namespace quant
