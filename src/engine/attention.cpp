#include "engine/attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/parallel.h"
#include "base/to_size.h"

namespace quant {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();
/// Query rows that share a decode of a tile. More would push scores out of the L2 cache.
constexpr int kBlockRows = 48;

/// The smallest range that holds the given range of every view, clipped to the chunk.
template <class Range>
PositionRange union_of(const std::vector<QueryView>& views, int count, PositionRange chunk,
                       Range range) {
  PositionRange all{chunk.end, chunk.begin};
  for (int i = 0; i < count; ++i) {
    const PositionRange one = (views[to_size(i)].*range).clipped_to(chunk);
    if (one.empty()) continue;
    all = {std::min(all.begin, one.begin), std::max(all.end, one.end)};
  }
  return all;
}

/// Calls visit(position, n, rows) for the exact rows of a store that queries of the batch see in a
/// chunk: rows of earlier batches from the sink and the window, the batch's own from `fresh`.
template <class Visit>
void for_exact(const KvStore& store, int head, const std::vector<QueryView>& views, int count,
               PositionRange chunk, std::int64_t batch_begin, const float* fresh,
               const Visit& visit) {
  const PositionRange before{chunk.begin, std::min(chunk.end, batch_begin)};
  const PositionRange since{std::max(chunk.begin, batch_begin), chunk.end};
  const auto visit_fresh = [&](PositionRange range) {
    if (range.empty()) return;
    visit(range.begin, static_cast<int>(range.end - range.begin),
          fresh + (range.begin - batch_begin) * store.head_dim());
  };
  const PositionRange sink = union_of(views, count, chunk, &QueryView::sink);
  const PositionRange window = union_of(views, count, chunk, &QueryView::window);
  store.for_sink(head, sink.clipped_to(before), visit);
  visit_fresh(sink.clipped_to(since));
  store.for_window(head, window.clipped_to(before), visit);
  visit_fresh(window.clipped_to(since));
}

}  // namespace

Attention::Attention(const ModelConfig& config, const Kernels& kernels, int threads, int max_batch)
    : kernels_(kernels),
      threads_(threads),
      max_batch_(max_batch),
      n_heads_(config.n_heads),
      n_kv_heads_(config.n_kv_heads),
      group_(config.n_heads / config.n_kv_heads),
      key_dim_(config.key_dim),
      value_dim_(config.value_dim),
      softcap_(config.attention_softcap),
      block_tokens_(std::clamp(kBlockRows / group_, 1, max_batch)),
      workspaces_(to_size(threads)) {
  const std::size_t rows = to_size(block_tokens_) * to_size(group_);
  for (Workspace& work : workspaces_) {
    work.exact_queries = AlignedBuffer<float>(rows * to_size(key_dim_));
    work.packed_queries = AlignedBuffer<float>(rows * to_size(key_dim_));
    work.scores = AlignedBuffer<float>(rows * kChunk);
    work.exact_scores = AlignedBuffer<float>(rows * kChunk);
    work.part = AlignedBuffer<float>(part_floats(block_tokens_ * group_));
    work.merged = AlignedBuffer<float>(part_floats(block_tokens_ * group_));
    // Places of a chunk that no query sees are masked, but only after they were computed with.
    std::fill_n(work.scores.data(), work.scores.size(), 0.0f);
    std::fill_n(work.exact_scores.data(), work.exact_scores.size(), 0.0f);
    work.key_views.resize(to_size(block_tokens_));
    work.value_views.resize(to_size(block_tokens_));
  }
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
  const Layer layer{keys, values, kv_kernels(kernels_, keys.side().type),
                    kv_kernels(kernels_, values.side().type), batch};
  const int blocks_a_head = (batch.n_tokens + block_tokens_ - 1) / block_tokens_;
  const int blocks = blocks_a_head * n_kv_heads_;
  if (batch.n_tokens == 1 && threads_ > 1) {
    attend_split(layer);
    return;
  }
  parallel_for(threads_, blocks, [&](std::int64_t index, int thread) {
    attend_whole(layer, block_at(index, blocks_a_head, batch.n_tokens),
                 workspaces_[to_size(thread)]);
  });
}

Attention::Block Attention::block_at(std::int64_t index, int blocks_a_head,
                                     int n_tokens) const noexcept {
  const int first = static_cast<int>(index % blocks_a_head) * block_tokens_;
  return {static_cast<int>(index / blocks_a_head), first,
          std::min(block_tokens_, n_tokens - first)};
}

PositionRange Attention::chunks_of(const Layer& layer, const Block& block) const noexcept {
  const std::int64_t t = layer.batch.first_position + block.first;
  const QueryView first = query_view(layer.keys.side(), layer.batch.sliding_window, t);
  return {first.sink.begin / kChunk, (t + block.count - 1) / kChunk + 1};
}

void Attention::attend_whole(const Layer& layer, const Block& block,
                             Workspace& work) const noexcept {
  prepare(layer, block, work);
  const int rows = block.count * group_;
  const Part part = part_in(work.part.data(), rows);
  const Part merged = part_in(work.merged.data(), rows);
  clear(merged, rows);
  const PositionRange chunks = chunks_of(layer, block);
  for (std::int64_t chunk = chunks.begin; chunk < chunks.end; ++chunk) {
    attend_chunk(layer, block, chunk, work, part);
    merge(merged, part, rows);
  }
  finish(layer, block, merged);
}

/// A single token: threads share out the chunks of each head as well. The parts are merged
/// afterwards in the same order and with the same arithmetic as in attend_whole.
void Attention::attend_split(const Layer& layer) noexcept {
  const PositionRange chunks = chunks_of(layer, {0, 0, 1});
  const std::int64_t n_chunks = chunks.end - chunks.begin;
  const auto part_at = [&](std::int64_t index) {
    return part_in(split_parts_.data() + to_size(index) * part_floats(group_), group_);
  };
  parallel_for(threads_, n_kv_heads_ * n_chunks, [&](std::int64_t index, int thread) {
    Workspace& work = workspaces_[to_size(thread)];
    const Block block{static_cast<int>(index / n_chunks), 0, 1};
    prepare(layer, block, work);
    attend_chunk(layer, block, chunks.begin + index % n_chunks, work, part_at(index));
  });
  parallel_for(threads_, n_kv_heads_, [&](std::int64_t head, int thread) {
    const Part merged = part_in(workspaces_[to_size(thread)].merged.data(), group_);
    clear(merged, group_);
    for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
      merge(merged, part_at(head * n_chunks + chunk), group_);
    }
    finish(layer, {static_cast<int>(head), 0, 1}, merged);
  });
}

void Attention::prepare(const Layer& layer, const Block& block, Workspace& work) const noexcept {
  const std::size_t dim = to_size(key_dim_);
  for (int i = 0; i < block.count; ++i) {
    const int token = block.first + i;
    const std::int64_t t = layer.batch.first_position + token;
    work.key_views[to_size(i)] = query_view(layer.keys.side(), layer.batch.sliding_window, t);
    work.value_views[to_size(i)] = query_view(layer.values.side(), layer.batch.sliding_window, t);
    for (int g = 0; g < group_; ++g) {
      const std::size_t head = to_size(token * n_heads_ + block.kv_head * group_ + g);
      const float* query = layer.batch.queries + head * dim;
      const std::size_t row = to_size(i * group_ + g);
      std::memcpy(work.exact_queries.data() + row * dim, query, dim * sizeof(float));
      layer.key_kernels.prepare_query(query, key_dim_, work.packed_queries.data() + row * dim);
    }
  }
}

void Attention::attend_chunk(const Layer& layer, const Block& block, std::int64_t chunk,
                             Workspace& work, const Part& part) const noexcept {
  const PositionRange positions{chunk * kChunk, (chunk + 1) * kChunk};
  score_chunk(layer, block, positions, work);
  softmax_chunk(block, positions, work, part);
  accumulate_chunk(layer, block, positions, work, part);
}

/// Fills work.scores with the scores of all that is visible, -inf elsewhere.
void Attention::score_chunk(const Layer& layer, const Block& block, PositionRange chunk,
                            Workspace& work) const noexcept {
  const int rows = block.count * group_;
  layer.keys.for_packed(
      block.kv_head, union_of(work.key_views, block.count, chunk, &QueryView::packed),
      [&](std::int64_t p, int n, const std::uint8_t* packed) {
        layer.key_kernels.score(packed, n, key_dim_, work.packed_queries.data(), rows,
                                work.scores.data() + (p - chunk.begin), kChunk);
      });
  const KvKernels& fp32 = kv_kernels(kernels_, KvType::kFp32);
  const float* fresh =
      layer.batch.exact_keys + to_size(block.kv_head) * to_size(max_batch_) * to_size(key_dim_);
  for_exact(layer.keys, block.kv_head, work.key_views, block.count, chunk,
            layer.batch.first_position, fresh, [&](std::int64_t p, int n, const float* exact) {
              fp32.score(reinterpret_cast<const std::uint8_t*>(exact), n, key_dim_,
                         work.exact_queries.data(), rows,
                         work.exact_scores.data() + (p - chunk.begin), kChunk);
            });
  for (int row = 0; row < rows; ++row) {
    float* scores = work.scores.data() + to_size(row) * kChunk;
    const float* exact = work.exact_scores.data() + to_size(row) * kChunk;
    const QueryView& view = work.key_views[to_size(row / group_)];
    for (const PositionRange& range : {view.sink, view.window}) {
      const PositionRange part = range.clipped_to(chunk);
      if (part.empty()) continue;
      std::copy(exact + (part.begin - chunk.begin), exact + (part.end - chunk.begin),
                scores + (part.begin - chunk.begin));
    }
    if (softcap_ > 0.0f) kernels_.softcap(scores, softcap_, kChunk);
    const PositionRange seen = PositionRange{view.sink.begin, view.window.end}.clipped_to(chunk);
    const std::int64_t begin = seen.empty() ? kChunk : seen.begin - chunk.begin;
    const std::int64_t end = seen.empty() ? kChunk : seen.end - chunk.begin;
    std::fill(scores, scores + begin, kMasked);
    std::fill(scores + end, scores + kChunk, kMasked);
  }
}

/// Turns scores into weights relative to the chunk's own maximum.
void Attention::softmax_chunk(const Block& block, PositionRange chunk, Workspace& work,
                              const Part& part) const noexcept {
  for (int row = 0; row < block.count * group_; ++row) {
    float* scores = work.scores.data() + to_size(row) * kChunk;
    const QueryView& view = work.key_views[to_size(row / group_)];
    if (PositionRange{view.sink.begin, view.window.end}.clipped_to(chunk).empty()) {
      part.maximum[row] = kMasked;
      part.sum[row] = 0.0f;
      std::fill_n(scores, kChunk, 0.0f);
    } else {
      kernels_.softmax_part(scores, kChunk, part.maximum + row, part.sum + row);
    }
  }
}

/// Weighted sums of values. A query's weights of exact values move from work.scores to
/// work.exact_scores, so that each list is zero where the other one counts.
void Attention::accumulate_chunk(const Layer& layer, const Block& block, PositionRange chunk,
                                 Workspace& work, const Part& part) const noexcept {
  const int rows = block.count * group_;
  const std::size_t values = to_size(rows) * to_size(value_dim_);
  std::fill_n(part.packed, values, 0.0f);
  std::fill_n(part.exact, values, 0.0f);
  const PositionRange sink = union_of(work.value_views, block.count, chunk, &QueryView::sink);
  const PositionRange window = union_of(work.value_views, block.count, chunk, &QueryView::window);
  if (!sink.empty() || !window.empty()) {
    for (int row = 0; row < rows; ++row) {
      float* weights = work.scores.data() + to_size(row) * kChunk;
      float* exact = work.exact_scores.data() + to_size(row) * kChunk;
      std::fill_n(exact, kChunk, 0.0f);
      const QueryView& view = work.value_views[to_size(row / group_)];
      for (const PositionRange& range : {view.sink, view.window}) {
        const PositionRange moved = range.clipped_to(chunk);
        for (std::int64_t p = moved.begin; p < moved.end; ++p) {
          std::swap(exact[p - chunk.begin], weights[p - chunk.begin]);
        }
      }
    }
  }
  layer.values.for_packed(block.kv_head,
                          union_of(work.value_views, block.count, chunk, &QueryView::packed),
                          [&](std::int64_t p, int n, const std::uint8_t* packed) {
                            layer.value_kernels.accumulate(packed, n, value_dim_,
                                                           work.scores.data() + (p - chunk.begin),
                                                           kChunk, rows, part.packed);
                          });
  const KvKernels& fp32 = kv_kernels(kernels_, KvType::kFp32);
  const float* fresh =
      layer.batch.exact_values + to_size(block.kv_head) * to_size(max_batch_) * to_size(value_dim_);
  for_exact(layer.values, block.kv_head, work.value_views, block.count, chunk,
            layer.batch.first_position, fresh, [&](std::int64_t p, int n, const float* exact) {
              fp32.accumulate(reinterpret_cast<const std::uint8_t*>(exact), n, value_dim_,
                              work.exact_scores.data() + (p - chunk.begin), kChunk, rows,
                              part.exact);
            });
}

void Attention::clear(const Part& part, int rows) const noexcept {
  std::fill_n(part.maximum, rows, kMasked);
  std::fill_n(part.sum, rows, 0.0f);
  std::fill_n(part.packed, to_size(rows) * to_size(value_dim_), 0.0f);
  std::fill_n(part.exact, to_size(rows) * to_size(value_dim_), 0.0f);
}

/// The online softmax (Milakov and Gimelshein, arXiv 1805.02867): sums relative to different maxima
/// are brought to the larger one.
void Attention::merge(const Part& merged, const Part& part, int rows) const noexcept {
  for (int row = 0; row < rows; ++row) {
    if (part.maximum[row] == kMasked) continue;
    const float maximum = std::max(merged.maximum[row], part.maximum[row]);
    const float a = kernels_.exp(merged.maximum[row] - maximum);
    const float b = kernels_.exp(part.maximum[row] - maximum);
    const std::size_t at = to_size(row) * to_size(value_dim_);
    kernels_.merge(merged.packed + at, a, part.packed + at, b, value_dim_);
    kernels_.merge(merged.exact + at, a, part.exact + at, b, value_dim_);
    merged.sum[row] = merged.sum[row] * a + part.sum[row] * b;
    merged.maximum[row] = maximum;
  }
}

void Attention::finish(const Layer& layer, const Block& block, const Part& merged) const noexcept {
  for (int row = 0; row < block.count * group_; ++row) {
    const std::size_t at = to_size(row) * to_size(value_dim_);
    float* value = merged.packed + at;
    layer.value_kernels.finish_value(value, value_dim_);
    kernels_.add(value, merged.exact + at, value_dim_);
    kernels_.scale(value, 1.0f / merged.sum[row], value_dim_);
    const int token = block.first + row / group_;
    const std::size_t head = to_size(token * n_heads_ + block.kv_head * group_ + row % group_);
    std::memcpy(layer.batch.out + head * to_size(value_dim_), value,
                to_size(value_dim_) * sizeof(float));
  }
}

}  // namespace quant
