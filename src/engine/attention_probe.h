// What queries attend to, computed a second time beside Attention for those who want to look.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "engine/attention.h"
#include "kernels/kernels.h"
#include "kv/cache.h"
#include "quant/attention_observer.h"
#include "quant/model.h"

namespace quant {

/// Scores are those of Attention in exact math, also in fast math. The softmax is computed over
/// whole rows in double, keys ascending, so that no weight depends on batch or threads. Memory is a
/// few rows of the context a thread.
class AttentionProbe {
 public:
  AttentionProbe(const ModelConfig& config, const Kernels& kernels, int threads, int max_batch,
                 AttentionObserver& observer);

  /// Makes room for positions [0, positions).
  void reserve(std::int64_t positions);
  /// Shows the observer the queries of a batch that have a target, all if `targets` is empty. The
  /// batch's keys must be encoded in the store already, and not committed yet.
  void operator()(int sequence, int layer, const KvStore& keys, const AttentionBatch& batch,
                  std::span<const Token> targets) noexcept;

 private:
  /// Scratch memory of one thread.
  struct Workspace {
    explicit Workspace(int key_dim);

    AlignedBuffer<float> queries;   // [kRows][key_dim], in the basis of the key codes
    AlignedBuffer<float> scores;    // [kRows][stride_]
    AlignedBuffer<double> weights;  // [stride_]
  };
  struct Layer {
    int sequence;
    int index;
    const KvStore& keys;
    const AttentionBatch& batch;
  };
  /// Queries of one head that are scored together: tokens [first, first + count) of the batch over
  /// the keys at `seen`, all that one of them sees and what is before it in a panel.
  struct Block {
    int head;
    int first;
    int count;
    PositionRange seen;
  };

  void observe_head(const Layer& layer, int head, std::span<const Token> targets,
                    Workspace& work) noexcept;
  const float* query(const Layer& layer, const Block& block, int row) const noexcept;
  void score_packed(const Layer& layer, const Block& block, Workspace& work) const noexcept;
  void score_exact(const Layer& layer, const Block& block, int row, Workspace& work) const noexcept;
  void show(const Layer& layer, const Block& block, int row, Workspace& work) noexcept;

  const Kernels& kernels_;
  int threads_;
  int max_batch_;
  int n_heads_;
  int group_;
  int key_dim_;
  float softcap_;
  AttentionObserver& observer_;
  std::size_t stride_ = 0;             // floats between the scores of two queries
  std::vector<Workspace> workspaces_;  // [threads]
};

}  // namespace quant
