#include "engine/attention_probe.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "base/to_size.h"
#include "engine/exact_rows.h"

namespace quant {
namespace {

/// Queries that share a decode of a tile of keys. Few, because a row of scores is as long as the
/// context.
constexpr int kRows = 8;

/// Turns scores into weights that add up to 1, keys ascending.
void softmax(const float* scores, std::size_t n, double* weights) noexcept {
  const double maximum = static_cast<double>(*std::max_element(scores, scores + n));
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    weights[i] = std::exp(static_cast<double>(scores[i]) - maximum);
    sum += weights[i];
  }
  for (std::size_t i = 0; i < n; ++i) weights[i] /= sum;
}

}  // namespace

AttentionProbe::Workspace::Workspace(int key_dim) : queries(to_size(kRows * key_dim)) {}

AttentionProbe::AttentionProbe(const ModelConfig& config, const Kernels& kernels, int threads,
                               int max_batch, AttentionObserver& observer)
    : kernels_(kernels),
      threads_(threads),
      max_batch_(max_batch),
      n_heads_(config.n_heads),
      group_(config.n_heads / config.n_kv_heads),
      key_dim_(config.key_dim),
      softcap_(config.attention_softcap),
      observer_(observer) {
  for (int thread = 0; thread < threads; ++thread) workspaces_.emplace_back(key_dim_);
}

void AttentionProbe::reserve(std::int64_t positions) {
  constexpr std::int64_t kVector = 16;
  stride_ = to_size((positions + kVector - 1) / kVector * kVector + kVector);
  for (Workspace& work : workspaces_) {
    work.scores = AlignedBuffer<float>(kRows * stride_);
    std::fill_n(work.scores.data(), work.scores.size(), 0.0f);
    work.weights = AlignedBuffer<double>(stride_);
  }
}

void AttentionProbe::operator()(int sequence, int layer, const KvStore& keys,
                                const AttentionBatch& batch,
                                std::span<const Token> targets) noexcept {
  parallel_for(threads_, n_heads_, [&](std::int64_t head, int thread) {
    observe_head({sequence, layer, keys, batch}, static_cast<int>(head), targets,
                 workspaces_[to_size(thread)]);
  });
}

void AttentionProbe::observe_head(const Layer& layer, int head, std::span<const Token> targets,
                                  Workspace& work) noexcept {
  const AttentionBatch& batch = layer.batch;
  const auto is_wanted = [&](int token) { return targets.empty() || targets[to_size(token)] >= 0; };
  for (int first = 0; first < batch.n_tokens; first += kRows) {
    const int count = std::min(kRows, batch.n_tokens - first);
    const QueryView view =
        query_view(layer.keys.side(), batch.sliding_window, batch.first_position + first);
    const std::int64_t panel = view.sink.begin / kKvPanelRows * kKvPanelRows;
    const Block block{head, first, count, {panel, batch.first_position + first + count}};
    bool scored = false;
    for (int row = 0; row < count; ++row) {
      if (!is_wanted(first + row)) continue;
      if (!scored) score_packed(layer, block, work);
      scored = true;
      score_exact(layer, block, row, work);
      show(layer, block, row, work);
    }
  }
}

const float* AttentionProbe::query(const Layer& layer, const Block& block, int row) const noexcept {
  return layer.batch.queries +
         to_size((block.first + row) * n_heads_ + block.head) * to_size(key_dim_);
}

/// Scores of all codes, also of those in whose place a query sees an exact row.
void AttentionProbe::score_packed(const Layer& layer, const Block& block,
                                  Workspace& work) const noexcept {
  const KvKernels& kernels = kv_kernels(kernels_, layer.keys.side().type);
  for (int row = 0; row < block.count; ++row) {
    kernels.prepare_query(query(layer, block, row), key_dim_, work.queries.data() + row * key_dim_);
  }
  layer.keys.for_packed(block.head / group_, block.seen,
                        [&](std::int64_t p, int n, const std::uint8_t* packed) {
                          kernels.score(packed, n, key_dim_, work.queries.data(), block.count,
                                        work.scores.data() + (p - block.seen.begin), stride_, {});
                        });
}

/// Scores of the exact rows that a query sees, over those of the same rows' codes.
void AttentionProbe::score_exact(const Layer& layer, const Block& block, int row,
                                 Workspace& work) const noexcept {
  const AttentionBatch& batch = layer.batch;
  const std::int64_t batch_begin = batch.first_position;
  const int kv_head = block.head / group_;
  const QueryView view =
      query_view(layer.keys.side(), batch.sliding_window, batch_begin + block.first + row);
  const KvKernels& fp32 = kv_kernels(kernels_, KvType::kFp32);
  const float* fresh =
      batch.exact_keys + to_size(kv_head) * to_size(max_batch_) * to_size(key_dim_);
  float* scores = work.scores.data() + to_size(row) * stride_;
  for_exact(layer.keys, kv_head, view.sink, view.window, batch_begin, fresh,
            [&](std::int64_t p, int n, const float* exact) {
              fp32.score(reinterpret_cast<const std::uint8_t*>(exact), n, key_dim_,
                         query(layer, block, row), 1, scores + (p - block.seen.begin), stride_, {});
            });
}

void AttentionProbe::show(const Layer& layer, const Block& block, int row,
                          Workspace& work) noexcept {
  const std::int64_t position = layer.batch.first_position + block.first + row;
  const QueryView view = query_view(layer.keys.side(), layer.batch.sliding_window, position);
  float* scores = work.scores.data() + to_size(row) * stride_;
  const std::int64_t begin = view.sink.begin - block.seen.begin;
  const std::int64_t end = position + 1 - block.seen.begin;
  if (softcap_ > 0.0f) kernels_.softcap(scores, softcap_, static_cast<int>((end + 15) / 16 * 16));
  const std::size_t n = to_size(end - begin);
  softmax(scores + begin, n, work.weights.data());
  observer_.observe({layer.sequence, layer.index, block.head, position, {work.weights.data(), n}});
}

}  // namespace quant
