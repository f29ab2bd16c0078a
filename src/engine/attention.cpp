#include "engine/attention.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/caches.h"
#include "base/parallel.h"
#include "base/to_size.h"

namespace quant {
namespace {

/// Query rows that share a decode of a tile. Their scores of a chunk take 102 KiB of the L2 cache.
constexpr int kBlockRows = 96;

/// What a few queries' scores, weights and sums take beside rows, and more: uniform_2b's rows are
/// better off in the L2 cache where they would leave 8 KiB of the L1 (docs/performance.md).
constexpr std::size_t kFewQueryBytes = std::size_t{12} << 10;

/// Where the next chunk's rows wait. If they and those at work, keys and values, leave too little
/// of the L1 cache (0: not known), they push each other and the scores out: docs/performance.md.
FetchTo fetch_to(std::size_t l1_bytes, const KvStore& keys, const KvStore& values) {
  const std::size_t rows = to_size(2 * Attention::kChunk) * (keys.row_bytes() + values.row_bytes());
  return rows + kFewQueryBytes <= l1_bytes ? FetchTo::kL1 : FetchTo::kL2;
}

/// 2^n for an integer n up to 0; 0 where that would be subnormal.
float power_of_two(float n) {
  if (!(n >= -126.0f)) return 0.0f;
  return std::bit_cast<float>((static_cast<std::uint32_t>(static_cast<int>(n) + 127)) << 23);
}

}  // namespace

Attention::Queries::Queries(int tokens, int rows, int key_dim)
    : exact(to_size(rows * key_dim)),
      packed(to_size(rows * key_dim)),
      codes(kv_code_bytes(rows, key_dim)),
      scale(to_size(rows * key_dim / 16)),
      sum(to_size(rows * key_dim / 16)),
      total(to_size(rows * key_dim / 16)),
      key_views(to_size(tokens)),
      value_views(to_size(tokens)) {}

KvIntQueries Attention::Queries::ints(int row, int key_dim) noexcept {
  const int blocks = row * (key_dim / 16);
  return {codes.data() + kv_code_bytes(row, key_dim), scale.data() + blocks, sum.data() + blocks,
          total.data() + blocks};
}

Attention::Workspace::Workspace(const Attention& attention)
    : queries(attention.block_tokens_, attention.block_tokens_ * attention.group_,
              attention.key_dim_),
      scores(to_size(attention.block_tokens_ * attention.group_ * kStride)),
      exact_scores(scores.size()),
      part(attention.part_floats(attention.block_tokens_ * attention.group_)),
      merged(part.size()) {
  // Places of a chunk that no query sees are masked, but only after they were computed with.
  std::fill_n(scores.data(), scores.size(), 0.0f);
  std::fill_n(exact_scores.data(), exact_scores.size(), 0.0f);
}

Attention::Attention(const ModelConfig& config, const Kernels& kernels, MathMode math, int threads,
                     int max_batch)
    : kernels_(kernels),
      math_(math),
      threads_(threads),
      max_batch_(max_batch),
      n_heads_(config.n_heads),
      n_kv_heads_(config.n_kv_heads),
      group_(config.n_heads / config.n_kv_heads),
      key_dim_(config.key_dim),
      value_dim_(config.value_dim),
      softcap_(config.attention_softcap),
      block_tokens_(std::clamp(kBlockRows / group_, 1, max_batch)),
      l1_bytes_(l1_data_bytes()),
      split_queries_(1, n_heads_, key_dim_),
      split_heads_(std::make_unique<SplitHead[]>(to_size(n_kv_heads_))) {
  for (int thread = 0; thread < threads; ++thread) workspaces_.emplace_back(*this);
}

std::size_t Attention::part_floats(int rows) const noexcept {
  return to_size(rows) * to_size(2 + 2 * value_dim_);
}

Attention::Part Attention::part_in(float* memory, int rows) const noexcept {
  float* packed = memory + 2 * rows;
  return {memory, memory + rows, packed, packed + to_size(rows) * to_size(value_dim_)};
}

void Attention::reserve(std::int64_t positions) {
  if (threads_ == 1) return;
  const std::size_t parts = to_size(n_kv_heads_) * to_size(positions / kChunk + 1);
  split_parts_ = AlignedBuffer<float>(parts * part_floats(group_));
}

void Attention::operator()(const KvStore& keys, const KvStore& values,
                           const AttentionBatch& batch) noexcept {
  const KvKernels& key_kernels = kv_kernels(kernels_, keys.side().type);
  const KvKernels& value_kernels = kv_kernels(kernels_, values.side().type);
  const bool fast = math_ == MathMode::kFast;
  const Layer layer{.keys = keys,
                    .values = values,
                    .key_kernels = key_kernels,
                    .value_kernels = value_kernels,
                    .batch = batch,
                    .int_scores = fast && key_kernels.score_int != nullptr,
                    .quick_scores = fast && keys.row_bytes() < to_size(key_dim_) * 2,
                    .int_values = fast && value_kernels.accumulate_int != nullptr,
                    .exact_keys = keys.has_exact_rows(),
                    .exact_values = values.has_exact_rows(),
                    .fetch_to = fetch_to(l1_bytes_, keys, values)};
  if (batch.n_tokens == 1 && threads_ > 1) {
    attend_split(layer);
    return;
  }
  // Smaller blocks where threads would have fewer than four each.
  const int share = (batch.n_tokens * n_kv_heads_ + 4 * threads_ - 1) / (4 * threads_);
  const int tokens = std::min(block_tokens_, share);
  const int blocks_a_head = (batch.n_tokens + tokens - 1) / tokens;
  parallel_for(threads_, blocks_a_head * n_kv_heads_, [&](std::int64_t index, int thread) {
    const int first = static_cast<int>(index % blocks_a_head) * tokens;
    const Block block{static_cast<int>(index / blocks_a_head), first,
                      std::min(tokens, batch.n_tokens - first)};
    attend_whole(layer, block, workspaces_[to_size(thread)]);
  });
}

PositionRange Attention::chunks_of(const Layer& layer, const Block& block) const noexcept {
  const std::int64_t t = layer.batch.first_position + block.first;
  const QueryView first = query_view(layer.keys.side(), layer.batch.sliding_window, t);
  return {first.sink.begin / kChunk, (t + block.count - 1) / kChunk + 1};
}

void Attention::attend_whole(const Layer& layer, const Block& block,
                             Workspace& work) const noexcept {
  const Task task{layer, block, work.queries, 0, work};
  prepare(task);
  const int rows = block.count * group_;
  const Part part = part_in(work.part.data(), rows);
  const Part merged = part_in(work.merged.data(), rows);
  clear(merged, rows);
  const PositionRange chunks = chunks_of(layer, block);
  for (std::int64_t chunk = chunks.begin; chunk < chunks.end; ++chunk) {
    attend_chunk(task, chunk, part);
    merge(task, chunk, merged, part);
  }
  finish(layer, block, merged);
}

Attention::Turns Attention::turns_of(const Layer& layer, PositionRange chunks) const noexcept {
  const PositionRange key_window = split_queries_.key_views[0].window;
  const PositionRange value_window = split_queries_.value_views[0].window;
  const auto bytes = [](const KvStore& store, PositionRange window) {
    return (window.end - window.begin) * store.head_dim() * std::int64_t{sizeof(float)};
  };
  const std::int64_t exact = bytes(layer.keys, key_window) + bytes(layer.values, value_window);
  const std::int64_t chunk =
      kChunk * static_cast<std::int64_t>(layer.keys.row_bytes() + layer.values.row_bytes());
  const std::int64_t first = std::min(key_window.begin, value_window.begin) / kChunk;
  const std::int64_t packed = std::min(first, chunks.end - 1) - chunks.begin;
  const std::int64_t rest = chunks.end - chunks.begin - packed;
  // If all have some of a window, they take equally long as they are.
  const std::int64_t per_exact = packed > 0 ? 1 + exact / (chunk * rest) : 1;
  return {packed, per_exact, packed + rest * per_exact};
}

/// A single token: threads share out the chunks of each head as well. Who has begun a head merges
/// its parts while they are in the cache, for as long as chunks follow each other; who completes
/// the last part of a head merges the rest. Order and arithmetic are those of attend_whole.
void Attention::attend_split(const Layer& layer) noexcept {
  const PositionRange chunks = chunks_of(layer, {0, 0, 1});
  const std::int64_t n_chunks = chunks.end - chunks.begin;
  const auto part_at = [&](std::int64_t index) {
    return part_in(split_parts_.data() + to_size(index) * part_floats(group_), group_);
  };
  const auto task_of = [&](int head, Workspace& work) {
    return Task{layer, {head, 0, 1}, split_queries_, head * group_, work};
  };
  for (int head = 0; head < n_kv_heads_; ++head) {
    prepare(task_of(head, workspaces_[0]));
    SplitHead& split = split_heads_[to_size(head)];
    split.undone.store(static_cast<int>(n_chunks), std::memory_order_relaxed);
    split.first_thread.store(-1, std::memory_order_relaxed);
    split.merged = 0;
  }
  const Turns turns = turns_of(layer, chunks);
  parallel_for(threads_, n_kv_heads_ * turns.total, [&](std::int64_t turn, int thread) {
    const std::int64_t head = turn / turns.total;
    const std::int64_t at = turns.chunk_at(turn % turns.total);
    if (at < 0) return;
    const Task task = task_of(static_cast<int>(head), workspaces_[to_size(thread)]);
    SplitHead& split = split_heads_[to_size(head)];
    const Part merged = part_at(head * n_chunks);
    if (at == 0) {
      clear(merged, group_);
      split.first_thread.store(thread, std::memory_order_relaxed);
    }
    if (split.first_thread.load(std::memory_order_relaxed) == thread && split.merged == at) {
      const Part part = part_in(task.work.part.data(), group_);
      attend_chunk(task, chunks.begin + at, part);
      merge(task, chunks.begin + at, merged, part);
      ++split.merged;
    } else {
      attend_chunk(task, chunks.begin + at, part_at(head * n_chunks + at));
    }
    if (split.undone.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    for (std::int64_t chunk = split.merged; chunk < n_chunks; ++chunk) {
      merge(task, chunks.begin + chunk, merged, part_at(head * n_chunks + chunk));
    }
    finish(layer, task.block, merged);
  });
}

void Attention::prepare(const Task& task) const noexcept {
  const Layer& layer = task.layer;
  for (int i = 0; i < task.block.count; ++i) {
    const std::int64_t t = layer.batch.first_position + task.block.first + i;
    const int sliding_window = layer.batch.sliding_window;
    task.queries.key_views[to_size(i)] = query_view(layer.keys.side(), sliding_window, t);
    task.queries.value_views[to_size(i)] = query_view(layer.values.side(), sliding_window, t);
  }
  const KvIntQueries ints = task.queries.ints(task.first_row, key_dim_);
  for (int row = 0; row < task.block.count * group_; ++row) {
    const int token = task.block.first + row / group_;
    const int head = task.block.kv_head * group_ + row % group_;
    const float* query = layer.batch.queries + to_size(token * n_heads_ + head) * to_size(key_dim_);
    const std::size_t at = to_size(task.first_row + row) * to_size(key_dim_);
    if (layer.int_scores) {
      layer.key_kernels.prepare_query_int(query, key_dim_, row, ints);
    } else {
      layer.key_kernels.prepare_query(query, key_dim_, task.queries.packed.data() + at);
    }
    if (layer.exact_keys) {
      std::memcpy(task.queries.exact.data() + at, query, to_size(key_dim_) * sizeof(float));
    }
  }
}

void Attention::clear(const Part& part, int rows) const noexcept {
  std::fill_n(part.exponent, rows, kMasked);
  std::fill_n(part.sum, rows, 0.0f);
  std::fill_n(part.packed, to_size(rows) * to_size(value_dim_), 0.0f);
  std::fill_n(part.exact, to_size(rows) * to_size(value_dim_), 0.0f);
}

/// The online softmax (Milakov and Gimelshein, arXiv 1805.02867): sums relative to different powers
/// of two are brought to the larger one.
void Attention::merge(const Task& task, std::int64_t chunk, const Part& merged,
                      const Part& part) const noexcept {
  const bool exact = has_exact_values(task, positions_of(chunk));
  for (int row = 0; row < task.block.count * group_; ++row) {
    if (part.exponent[row] == kMasked) continue;
    const float exponent = std::max(merged.exponent[row], part.exponent[row]);
    const float a = power_of_two(merged.exponent[row] - exponent);
    const float b = power_of_two(part.exponent[row] - exponent);
    const std::size_t at = to_size(row) * to_size(value_dim_);
    kernels_.merge(merged.packed + at, a, part.packed + at, b, value_dim_);
    if (exact) {
      kernels_.merge(merged.exact + at, a, part.exact + at, b, value_dim_);
    } else if (task.layer.exact_values && a != 1.0f) {
      kernels_.scale(merged.exact + at, a, value_dim_);
    }
    merged.sum[row] = merged.sum[row] * a + part.sum[row] * b;
    merged.exponent[row] = exponent;
  }
}

void Attention::finish(const Layer& layer, const Block& block, const Part& merged) const noexcept {
  for (int row = 0; row < block.count * group_; ++row) {
    const std::size_t at = to_size(row) * to_size(value_dim_);
    float* value = merged.packed + at;
    layer.value_kernels.finish_value(value, value_dim_);
    if (layer.exact_values) kernels_.add(value, merged.exact + at, value_dim_);
    kernels_.scale(value, 1.0f / merged.sum[row], value_dim_);
    const int token = block.first + row / group_;
    const std::size_t head = to_size(token * n_heads_ + block.kv_head * group_ + row % group_);
    std::memcpy(layer.batch.out + head * to_size(value_dim_), value,
                to_size(value_dim_) * sizeof(float));
  }
}

}  // namespace quant
