// Attention of a batch of queries over the KV cache of one layer.
//
// Positions are worked on in chunks of 256 at absolute positions. A chunk gives each query a part
// of its softmax (maximum, sum, weighted values); parts are merged in ascending order. Chunks do
// not depend on batch or threads and neither do the sums inside them, so neither does a result's
// last bit.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"
#include "kv/cache.h"
#include "quant/model.h"

namespace quant {

/// The running batch as one layer's attention sees it.
struct AttentionBatch {
  std::int64_t first_position;
  int n_tokens;
  int sliding_window;
  const float* queries;       // [n_tokens][n_heads][key_dim], scaled and rotated
  const float* exact_keys;    // [n_kv_heads][max_batch][key_dim], rotated
  const float* exact_values;  // [n_kv_heads][max_batch][value_dim]
  float* out;                 // [n_tokens][n_heads][value_dim]
};

class Attention {
 public:
  static constexpr int kChunk = 256;

  Attention(const ModelConfig& config, const Kernels& kernels, int threads, int max_batch);

  /// Makes room for the parts of a single token's chunks when [0, positions) is full.
  void reserve(std::int64_t positions);
  /// The batch's keys and values must be encoded in the stores already.
  void operator()(const KvStore& keys, const KvStore& values, const AttentionBatch& batch) noexcept;

 private:
  /// The queries that are worked on together: tokens [first, first + count) of one KV head's group.
  struct Block {
    int kv_head;
    int first;
    int count;
  };
  /// Softmax parts of a block, or their merger: [rows] of everything, rows = count·group.
  struct Part {
    float* maximum;  // -inf where a query sees nothing
    float* sum;
    float* packed;  // [rows][value_dim], in the basis of the value codes
    float* exact;   // [rows][value_dim]
  };
  /// Scratch memory of one thread.
  struct Workspace {
    AlignedBuffer<float> exact_queries;   // [rows][key_dim]
    AlignedBuffer<float> packed_queries;  // [rows][key_dim], in the basis of the key codes
    AlignedBuffer<float> scores;        // [rows][kChunk]; after the softmax, weights of packed rows
    AlignedBuffer<float> exact_scores;  // [rows][kChunk]
    AlignedBuffer<float> part;
    AlignedBuffer<float> merged;
    std::vector<QueryView> key_views;    // [count]
    std::vector<QueryView> value_views;  // [count]
  };
  struct Layer {
    const KvStore& keys;
    const KvStore& values;
    const KvKernels& key_kernels;
    const KvKernels& value_kernels;
    const AttentionBatch& batch;
  };

  Block block_at(std::int64_t index, int blocks_a_head, int n_tokens) const noexcept;
  PositionRange chunks_of(const Layer& layer, const Block& block) const noexcept;
  void prepare(const Layer& layer, const Block& block, Workspace& work) const noexcept;
  void attend_whole(const Layer& layer, const Block& block, Workspace& work) const noexcept;
  void attend_split(const Layer& layer) noexcept;
  void attend_chunk(const Layer& layer, const Block& block, std::int64_t chunk, Workspace& work,
                    const Part& part) const noexcept;
  void score_chunk(const Layer& layer, const Block& block, PositionRange chunk,
                   Workspace& work) const noexcept;
  void softmax_chunk(const Block& block, PositionRange chunk, Workspace& work,
                     const Part& part) const noexcept;
  void accumulate_chunk(const Layer& layer, const Block& block, PositionRange chunk,
                        Workspace& work, const Part& part) const noexcept;
  void merge(const Part& merged, const Part& part, int rows) const noexcept;
  void finish(const Layer& layer, const Block& block, const Part& merged) const noexcept;
  void clear(const Part& part, int rows) const noexcept;
  Part part_in(float* memory, int rows) const noexcept;
  std::size_t part_floats(int rows) const noexcept;

  const Kernels& kernels_;
  int threads_;
  int max_batch_;
  int n_heads_;
  int n_kv_heads_;
  int group_;
  int key_dim_;
  int value_dim_;
  float softcap_;
  int block_tokens_;
  std::vector<Workspace> workspaces_;  // [threads]
  AlignedBuffer<float>
      split_parts_;  // parts of blocks whose chunks are shared out, grown on demand
};

}  // namespace quant
