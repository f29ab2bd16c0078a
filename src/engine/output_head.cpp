#include "engine/output_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "base/to_size.h"
#include "quant/error.h"

namespace quant {
namespace {

/// Rows of the vocabulary and rows of x whose logits exist at one time on one thread: 240 KiB, so
/// that they stay in the L2 cache until their exponentials are summed. Rows of x are whole groups
/// of Linear's inputs.
constexpr int kTileVocab = 512;
constexpr int kTileRows = 120;

}  // namespace

OutputHead::OutputHead(const Model& model, const SessionOptions& options)
    : config_(model.config()),
      output_(model.weights().output),
      kernels_(kernels_for(options.isa)),
      threads_(options.threads),
      tiles_(to_size(options.threads)) {
  const int rows = std::min(kTileRows, options.batch);
  for (AlignedBuffer<float>& tile : tiles_) tile = AlignedBuffer<float>(to_size(rows) * kTileVocab);
}

/// Calls visit(first row of w, number of rows, logits [count][kTileVocab]) for every tile of the
/// vocabulary, for rows [first, first + count) of the input.
template <class Visit>
void OutputHead::for_each_tile(const Linear& linear, int first, int count,
                               const Visit& visit) noexcept {
  parallel_for(threads_, n_tiles(), [&](std::int64_t index, int thread) {
    const std::int64_t row = index * kTileVocab;
    const int n_rows = static_cast<int>(std::min<std::int64_t>(kTileVocab, output_.rows - row));
    float* out = tiles_[to_size(thread)].data();
    int padded = 0;
    for (; padded < n_rows; padded += kPanelRows) {
      linear.multiply_panel(output_, (row + padded) / kPanelRows, first, count, out + padded,
                            kTileVocab);
    }
    for (int i = 0; i < count && config_.final_softcap != 0.0f; ++i) {
      kernels_.softcap(out + i * kTileVocab, config_.final_softcap, padded);
    }
    visit(row, n_rows, out);
  });
}

std::int64_t OutputHead::n_tiles() const noexcept {
  return (output_.rows + kTileVocab - 1) / kTileVocab;
}

void OutputHead::logits(Linear& linear, const float* hidden, int m, float* logits) {
  linear.set_input(hidden, m, config_.n_embd);
  for (int first = 0; first < m; first += kTileRows) {
    const int count = std::min(kTileRows, m - first);
    for_each_tile(linear, first, count, [&](std::int64_t row, int n_rows, const float* tile) {
      for (int i = 0; i < count; ++i) {
        std::memcpy(logits + (first + i) * output_.rows + row, tile + i * kTileVocab,
                    to_size(n_rows) * sizeof(float));
      }
    });
  }
}

void OutputHead::losses(Linear& linear, const float* hidden, std::span<const Token> targets,
                        std::span<TokenLoss> losses) {
  const int m = static_cast<int>(targets.size());
  linear.set_input(hidden, m, config_.n_embd);
  const std::size_t n_parts = to_size(std::min(m, kTileRows)) * to_size(n_tiles());
  if (parts_.size() < n_parts) parts_ = AlignedBuffer<LogSumExpPart>(n_parts);
  target_logits_.resize(targets.size());
  for (int first = 0; first < m; first += kTileRows) {
    const int count = std::min(kTileRows, m - first);
    const std::span<const Token> wanted = targets.subspan(to_size(first), to_size(count));
    if (std::ranges::none_of(wanted, [](Token t) { return t >= 0; })) continue;
    for_each_tile(linear, first, count, [&](std::int64_t row, int n_rows, const float* tile) {
      for (int i = 0; i < count; ++i) {
        const float* logits = tile + i * kTileVocab;
        const std::int64_t target = wanted[to_size(i)] - row;
        if (target >= 0 && target < n_rows) target_logits_[to_size(first + i)] = logits[target];
        LogSumExpPart part = kernels_.log_sum_exp_part(logits, n_rows);
        part.argmax += static_cast<std::int32_t>(row);
        parts_[to_size(i * n_tiles() + row / kTileVocab)] = part;
      }
    });
    for (int i = 0; i < count; ++i) {
      const std::size_t at = to_size(first + i);
      if (targets[at] >= 0) losses[at] = merged_loss(i, targets[at], target_logits_[at]);
    }
  }
}

TokenLoss OutputHead::merged_loss(int row, Token target, float target_logit) const {
  const std::span<const LogSumExpPart> parts(parts_.data() + row * n_tiles(), to_size(n_tiles()));
  const LogSumExpPart& top = *std::ranges::max_element(parts, {}, &LogSumExpPart::maximum);
  const double maximum = static_cast<double>(top.maximum);
  double sum = 0.0;
  for (const LogSumExpPart& part : parts) {
    sum += part.sum * std::exp(static_cast<double>(part.maximum) - maximum);
  }
  const double nll = std::log(sum) + maximum - static_cast<double>(target_logit);
  if (!std::isfinite(nll)) {
    throw Error(ErrorKind::kEvaluation,
                fmt::format("the loss of token {} is not finite: the model gives logits that are "
                            "not numbers; check the file or try another KV format",
                            target));
  }
  return {nll, top.argmax};
}

}  // namespace quant
