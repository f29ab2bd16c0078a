// Attention of a batch of queries over the KV cache of one layer.
//
// Positions are worked on in chunks of 256 at absolute positions. A chunk gives each query a part
// of its softmax (exponent, sum, weighted values); parts are merged in ascending order. Chunks do
// not depend on batch or threads and neither do the sums inside them, so neither does a result's
// last bit.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"
#include "kv/cache.h"
#include "quant/model.h"
#include "quant/session.h"

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
  static constexpr int kChunk = kKvChunkRows;
  /// Floats between the scores of two queries: not a power of two, so that their cache lines do not
  /// all compete for the same few places.
  static constexpr int kStride = kChunk + 16;

  Attention(const ModelConfig& config, const Kernels& kernels, MathMode math, int threads,
            int max_batch);

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
  /// Queries as the key kernels want them, [rows] of each, and what their tokens see.
  struct Queries {
    AlignedBuffer<float> exact;   // [key_dim]
    AlignedBuffer<float> packed;  // [key_dim], in the basis of the key codes
    AlignedBuffer<std::uint8_t> codes;
    AlignedBuffer<float> scale;
    AlignedBuffer<std::int32_t> sum;
    AlignedBuffer<float> total;
    std::vector<QueryView> key_views;    // [tokens]
    std::vector<QueryView> value_views;  // [tokens]

    Queries(int tokens, int rows, int key_dim);
    KvIntQueries ints(int row, int key_dim) noexcept;
  };
  /// Softmax parts of a block, or their merger: [rows] of everything, rows = count·group.
  struct Part {
    float* exponent;  // weights are multiples of 2^exponent; -inf where a query sees nothing
    float* sum;
    float* packed;  // [rows][value_dim], in the basis of the value codes
    float* exact;   // [rows][value_dim], used only where has_exact_values()
  };
  /// Scratch memory of one thread.
  struct Workspace {
    explicit Workspace(const Attention& attention);

    Queries queries;
    AlignedBuffer<float> scores;  // [rows][kStride]; after the softmax, weights of packed rows
    AlignedBuffer<float> exact_scores;  // [rows][kStride]
    AlignedBuffer<float> part;
    AlignedBuffer<float> merged;
  };
  struct Layer {
    const KvStore& keys;
    const KvStore& values;
    const KvKernels& key_kernels;
    const KvKernels& value_kernels;
    const AttentionBatch& batch;
    bool int_scores;
    bool quick_scores;  // in integers, of codes of at most a byte
    bool int_values;
    bool exact_keys;    // there is a sink or a window
    bool exact_values;  // the same for values
    FetchTo fetch_to;
  };
  /// A block at work: its queries are rows [first_row, …) of `queries`.
  struct Task {
    const Layer& layer;
    Block block;
    Queries& queries;
    int first_row;
    Workspace& work;
  };

  /// A head whose chunks are shared out, on a cache line of its own: threads count down at once.
  struct alignas(64) SplitHead {
    std::atomic<int> undone;        // chunks that have no part yet
    std::atomic<int> first_thread;  // who works on chunk 0, or did; -1 before
    int merged;                     // chunks from 0 on that it has merged
  };

  /// How threads share out a head's chunks. Exact rows are more bytes, so that a chunk with some of
  /// a window takes several turns, of which all but the first are without work: runs of as many
  /// turns take equally long. A sink is taken for short.
  struct Turns {
    std::int64_t packed;     // chunks before the window, a turn each
    std::int64_t per_exact;  // turns of each chunk after those
    std::int64_t total;

    /// The chunk of a turn, counted from the first; -1 if it is without work.
    std::int64_t chunk_at(std::int64_t turn) const noexcept {
      if (turn < packed) return turn;
      const std::int64_t exact = turn - packed;
      return exact % per_exact == 0 ? packed + exact / per_exact : -1;
    }
  };

  /// The exponent of a part that sees nothing, and a score that is not seen.
  static constexpr float kMasked = -std::numeric_limits<float>::infinity();

  static PositionRange positions_of(std::int64_t chunk) noexcept {
    return {chunk * kChunk, (chunk + 1) * kChunk};
  }
  PositionRange chunks_of(const Layer& layer, const Block& block) const noexcept;
  void attend_whole(const Layer& layer, const Block& block, Workspace& work) const noexcept;
  void attend_split(const Layer& layer) noexcept;
  /// For the views that prepare() put into split_queries_.
  Turns turns_of(const Layer& layer, PositionRange chunks) const noexcept;
  void prepare(const Task& task) const noexcept;
  // attention_chunk.cpp:
  void attend_chunk(const Task& task, std::int64_t chunk, const Part& part) const noexcept;
  Fetch fetch_ahead(const Task& task, const KvStore& store, const std::vector<QueryView>& views,
                    PositionRange rows) const noexcept;
  Fetch score_chunk(const Task& task, PositionRange chunk) const noexcept;
  void score_exact(const Task& task, PositionRange chunk) const noexcept;
  void softmax_chunk(const Task& task, PositionRange chunk, const Part& part,
                     const Fetch& fetch) const noexcept;
  void accumulate_chunk(const Task& task, PositionRange chunk, const Part& part) const noexcept;
  void accumulate_exact(const Task& task, PositionRange chunk, const Part& part) const noexcept;
  bool has_exact_values(const Task& task, PositionRange chunk) const noexcept;
  void merge(const Task& task, std::int64_t chunk, const Part& merged,
             const Part& part) const noexcept;
  void finish(const Layer& layer, const Block& block, const Part& merged) const noexcept;
  void clear(const Part& part, int rows) const noexcept;
  Part part_in(float* memory, int rows) const noexcept;
  std::size_t part_floats(int rows) const noexcept;

  const Kernels& kernels_;
  MathMode math_;
  int threads_;
  int max_batch_;
  int n_heads_;
  int n_kv_heads_;
  int group_;
  int key_dim_;
  int value_dim_;
  float softcap_;
  int block_tokens_;
  std::size_t l1_bytes_;
  std::vector<Workspace> workspaces_;  // [threads]
  // For a single token, whose chunks are shared out:
  Queries split_queries_;  // [n_heads]
  /// [n_kv_heads][chunks], grown on demand; in the place of chunk 0, the merger.
  AlignedBuffer<float> split_parts_;
  std::unique_ptr<SplitHead[]> split_heads_;  // [n_kv_heads]
};

}  // namespace quant
