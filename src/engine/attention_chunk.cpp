// One chunk of positions for one block of queries: scores, softmax, sums of values.
#include <algorithm>

#include "base/to_size.h"
#include "engine/attention.h"
#include "engine/exact_rows.h"

namespace quant {
namespace {

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

/// After n exact rows of d floats as many of the next chunk: only a run that fills its chunk goes
/// on behind it.
Fetch exact_rows_after(const float* rows, int n, int d) {
  if (n < Attention::kChunk) return {};
  const std::size_t bytes = to_size(n) * to_size(d) * sizeof(float);
  return {{reinterpret_cast<std::uintptr_t>(rows) + bytes, bytes}, {}, FetchTo::kL2};
}

/// A single token reads each row of its window just once, from memory that other layers have pushed
/// out of the caches. Each of up to sixteen chunks before it asks for a share; the last ones ask
/// for the next head instead.
MemoryPiece window_share(const KvStore& store, int head, const QueryView& view,
                         std::int64_t position) {
  constexpr std::int64_t kMostShares = 16;
  if (view.window.empty()) return {};
  const std::int64_t end = view.window.begin / Attention::kChunk - 1;
  const std::int64_t begin = std::max(view.packed.begin / Attention::kChunk, end - kMostShares);
  const std::int64_t at = position / Attention::kChunk;
  if (at < begin || at >= end) return {};
  return store.share_of_window(head, static_cast<int>(at - begin), static_cast<int>(end - begin));
}

void clear_weights(PositionRange range, PositionRange chunk, float* weights) {
  if (!range.empty())
    std::fill_n(weights + (range.begin - chunk.begin), range.end - range.begin, 0.0f);
}

/// Moves the weights of a query's own range within a chunk to another list, which becomes zero in
/// the rest of `all`.
void move_weights(PositionRange own, PositionRange all, PositionRange chunk, float* from,
                  float* to) {
  const PositionRange moved = own.clipped_to(all);
  clear_weights(all, chunk, to);
  if (moved.empty()) return;
  const std::int64_t first = moved.begin - chunk.begin;
  std::copy_n(from + first, moved.end - moved.begin, to + first);
  clear_weights(moved, chunk, from);
}

}  // namespace

void Attention::attend_chunk(const Task& task, std::int64_t chunk,
                             const Part& part) const noexcept {
  const PositionRange positions = positions_of(chunk);
  const Fetch left = score_chunk(task, positions);
  softmax_chunk(task, positions, part, left);
  accumulate_chunk(task, positions, part);
}

/// What to ask for while a kernel works on packed rows: as many rows that the thread comes to a
/// chunk later. After the last ones a single token goes on with the next head (of a batch that is a
/// guess), and it asks for its window as well.
Fetch Attention::fetch_ahead(const Task& task, const KvStore& store,
                             const std::vector<QueryView>& views,
                             PositionRange rows) const noexcept {
  const int head = task.block.kv_head;
  const QueryView& view = views[to_size(task.block.count - 1)];
  const FetchTo to = task.layer.fetch_to;
  const std::int64_t begin = rows.begin + kChunk;
  const std::int64_t end = rows.end + kChunk;
  const std::int64_t behind = end - view.packed.end;
  const MemoryPiece next = store.packed_piece(head, {begin, std::min(end, view.packed.end)});
  if (task.block.count > 1) return {next, {}, to};
  if (behind <= 0) return {next, window_share(store, head, view, rows.begin), to};
  const PositionRange ahead{std::max<std::int64_t>(0, begin - view.packed.end), behind};
  const std::int64_t first = view.packed.begin;
  const MemoryPiece other = store.packed_piece(
      head + 1, view.packed.clipped_to({first + ahead.begin, first + ahead.end}));
  return next.bytes > 0 ? Fetch{next, other, to} : Fetch{other, {}, to};
}

/// Fills work.scores with the scores of all that is visible. Attention computes for about as long
/// as memory takes, but pages and the turns that keys and values take stop the processor's own
/// prefetcher, so each chunk asks for the next. Gives what the softmax is to ask for: a single
/// token's quick scores are done before memory is.
Fetch Attention::score_chunk(const Task& task, PositionRange chunk) const noexcept {
  const Layer& layer = task.layer;
  const Block& block = task.block;
  Queries& queries = task.queries;
  Workspace& work = task.work;
  const int rows = block.count * group_;
  const float* packed_queries = queries.packed.data() + task.first_row * key_dim_;
  const KvIntQueries ints = queries.ints(task.first_row, key_dim_);
  Fetch left;
  layer.keys.for_packed(
      block.kv_head, union_of(queries.key_views, block.count, chunk, &QueryView::packed),
      [&](std::int64_t p, int n, const std::uint8_t* packed) {
        float* scores = work.scores.data() + (p - chunk.begin);
        Fetch ahead = fetch_ahead(task, layer.keys, queries.key_views, {p, p + n});
        if (block.count == 1 && layer.quick_scores) {
          const std::size_t half = ahead.next.bytes / 2;
          left = {{ahead.next.from + half, ahead.next.bytes - half}, {}, layer.fetch_to};
          ahead.next.bytes = half;
        }
        if (layer.int_scores) {
          layer.key_kernels.score_int(packed, n, key_dim_, ints, rows, scores, kStride, ahead);
        } else {
          layer.key_kernels.score(packed, n, key_dim_, packed_queries, rows, scores, kStride,
                                  ahead);
        }
      });
  if (layer.exact_keys) score_exact(task, chunk);
  return left;
}

/// Scores of exact rows. A single token's go right to work.scores; those of several are computed
/// apart, because some see exact rows where others see codes.
void Attention::score_exact(const Task& task, PositionRange chunk) const noexcept {
  const Layer& layer = task.layer;
  const Block& block = task.block;
  Queries& queries = task.queries;
  Workspace& work = task.work;
  const int rows = block.count * group_;
  const float* exact_queries = queries.exact.data() + task.first_row * key_dim_;
  float* scores = block.count == 1 ? work.scores.data() : work.exact_scores.data();
  const KvKernels& fp32 = kv_kernels(kernels_, KvType::kFp32);
  const float* fresh =
      layer.batch.exact_keys + to_size(block.kv_head) * to_size(max_batch_) * to_size(key_dim_);
  const PositionRange sink = union_of(queries.key_views, block.count, chunk, &QueryView::sink);
  const PositionRange window = union_of(queries.key_views, block.count, chunk, &QueryView::window);
  for_exact(layer.keys, block.kv_head, sink, window, layer.batch.first_position, fresh,
            [&](std::int64_t p, int n, const float* exact) {
              fp32.score(reinterpret_cast<const std::uint8_t*>(exact), n, key_dim_, exact_queries,
                         rows, scores + (p - chunk.begin), kStride,
                         exact_rows_after(exact, n, key_dim_));
            });
  for (int row = 0; row < rows && block.count > 1; ++row) {
    const std::size_t list = to_size(row) * kStride;
    const QueryView& view = queries.key_views[to_size(row / group_)];
    for (const PositionRange& range : {view.sink, view.window}) {
      const PositionRange part = range.clipped_to(chunk);
      if (part.empty()) continue;
      std::copy_n(scores + list + (part.begin - chunk.begin), part.end - part.begin,
                  work.scores.data() + list + (part.begin - chunk.begin));
    }
  }
}

/// Turns scores into weights relative to the chunk's own exponent, 0 where a query sees nothing.
void Attention::softmax_chunk(const Task& task, PositionRange chunk, const Part& part,
                              const Fetch& fetch) const noexcept {
  for (int token = 0; token < task.block.count; ++token) {
    const int row = token * group_;
    float* const lists = task.work.scores.data() + to_size(row) * kStride;
    const QueryView& view = task.queries.key_views[to_size(token)];
    const PositionRange seen = PositionRange{view.sink.begin, view.window.end}.clipped_to(chunk);
    if (seen.empty()) {
      std::fill_n(part.exponent + row, group_, kMasked);
      std::fill_n(part.sum + row, group_, 0.0f);
      std::fill_n(lists, to_size(group_) * kStride, 0.0f);
      continue;
    }
    const int begin = static_cast<int>(seen.begin - chunk.begin);
    const int end = static_cast<int>(seen.end - chunk.begin);
    const int first = begin / 16 * 16;  // whole vectors
    const int last = (end + 15) / 16 * 16;
    for (int head = 0; head < group_; ++head) {
      float* scores = lists + to_size(head) * kStride;
      if (softcap_ > 0.0f) kernels_.softcap(scores + first, softcap_, last - first);
      std::fill(scores, scores + first, 0.0f);
      std::fill(scores + first, scores + begin, kMasked);
      std::fill(scores + end, scores + last, kMasked);
      std::fill(scores + last, scores + kChunk, 0.0f);
    }
    kernels_.softmax_part(lists + first, kStride, group_, last - first, part.exponent + row,
                          part.sum + row, fetch);
  }
}

bool Attention::has_exact_values(const Task& task, PositionRange chunk) const noexcept {
  const auto seen = [&](auto range) {
    return !union_of(task.queries.value_views, task.block.count, chunk, range).empty();
  };
  return task.layer.exact_values && (seen(&QueryView::sink) || seen(&QueryView::window));
}

/// Weighted sums of values. accumulate_exact comes first: it takes the weights of exact values out
/// of work.scores.
void Attention::accumulate_chunk(const Task& task, PositionRange chunk,
                                 const Part& part) const noexcept {
  const Layer& layer = task.layer;
  const Block& block = task.block;
  Queries& queries = task.queries;
  Workspace& work = task.work;
  const int rows = block.count * group_;
  if (has_exact_values(task, chunk)) accumulate_exact(task, chunk, part);
  std::fill_n(part.packed, to_size(rows) * to_size(value_dim_), 0.0f);
  layer.values.for_packed(
      block.kv_head, union_of(queries.value_views, block.count, chunk, &QueryView::packed),
      [&](std::int64_t p, int n, const std::uint8_t* packed) {
        const KvKernels& kernels = layer.value_kernels;
        float* weights = work.scores.data() + (p - chunk.begin);
        const Fetch ahead = fetch_ahead(task, layer.values, queries.value_views, {p, p + n});
        if (layer.int_values) {
          kernels.accumulate_int(packed, static_cast<int>(p - chunk.begin), n, value_dim_, weights,
                                 kStride, rows, part.packed, ahead);
        } else {
          kernels.accumulate(packed, n, value_dim_, weights, kStride, rows, part.packed, ahead);
        }
      });
}

/// Takes the weights of exact values out of work.scores: packed sums begin at a panel, before the
/// end of a sink. Of several tokens, some see exact values where others see codes, so that their
/// weights move to work.exact_scores first.
void Attention::accumulate_exact(const Task& task, PositionRange chunk,
                                 const Part& part) const noexcept {
  const Layer& layer = task.layer;
  const Block& block = task.block;
  Queries& queries = task.queries;
  Workspace& work = task.work;
  const int rows = block.count * group_;
  std::fill_n(part.exact, to_size(rows) * to_size(value_dim_), 0.0f);
  const PositionRange sink = union_of(queries.value_views, block.count, chunk, &QueryView::sink);
  const PositionRange window =
      union_of(queries.value_views, block.count, chunk, &QueryView::window);
  for (int row = 0; row < rows && block.count > 1; ++row) {
    const QueryView& view = queries.value_views[to_size(row / group_)];
    float* weights = work.scores.data() + to_size(row) * kStride;
    float* exact = work.exact_scores.data() + to_size(row) * kStride;
    move_weights(view.sink, sink, chunk, weights, exact);
    move_weights(view.window, window, chunk, weights, exact);
  }
  float* weights = block.count == 1 ? work.scores.data() : work.exact_scores.data();
  const KvKernels& fp32 = kv_kernels(kernels_, KvType::kFp32);
  const float* fresh =
      layer.batch.exact_values + to_size(block.kv_head) * to_size(max_batch_) * to_size(value_dim_);
  for_exact(layer.values, block.kv_head, sink, window, layer.batch.first_position, fresh,
            [&](std::int64_t p, int n, const float* exact) {
              fp32.accumulate(reinterpret_cast<const std::uint8_t*>(exact), n, value_dim_,
                              weights + (p - chunk.begin), kStride, rows, part.exact,
                              exact_rows_after(exact, n, value_dim_));
            });
  for (int row = 0; row < rows && block.count == 1; ++row) {
    clear_weights(sink, chunk, weights + to_size(row) * kStride);
    clear_weights(window, chunk, weights + to_size(row) * kStride);
  }
}

}  // namespace quant
