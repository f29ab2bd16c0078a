#include "engine/output_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "quant/error.h"

namespace quant {
namespace {

/// Rows of the vocabulary and rows of x whose logits exist at one time on one thread: 256 KiB, so
/// that they stay in the L2 cache until their exponentials are summed.
constexpr int kTileVocab = 512;
constexpr int kTileRows = 128;

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

double merged_loss(const LogSumExpPart* parts, std::int64_t n, float target_logit,
                   std::int32_t* argmax) {
  const LogSumExpPart* top = parts;
  for (std::int64_t i = 1; i < n; ++i) {
    if (parts[i].maximum > top->maximum) top = parts + i;
  }
  *argmax = top->argmax;
  const double maximum = static_cast<double>(top->maximum);
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    sum += parts[i].sum * std::exp(static_cast<double>(parts[i].maximum) - maximum);
  }
  return std::log(sum) + maximum - static_cast<double>(target_logit);
}

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

void OutputHead::tile(const Linear& linear, std::int64_t first_row, int n_rows, int first,
                      int count, float* out, std::size_t out_stride) const noexcept {
  for (int row = 0; row < n_rows; row += kPanelRows) {
    linear.multiply_panel(output_, first_row + row, first, count, out + row, out_stride);
  }
  if (config_.final_softcap == 0.0f) return;
  const int padded = (n_rows + kPanelRows - 1) / kPanelRows * kPanelRows;
  for (int i = 0; i < count; ++i) {
    kernels_.softcap(out + to_size(i) * out_stride, config_.final_softcap, padded);
  }
}

void OutputHead::logits(Linear& linear, const float* hidden, int m, float* logits) {
  linear.set_input(hidden, m, config_.n_embd);
  const std::int64_t n_tiles = (output_.rows + kTileVocab - 1) / kTileVocab;
  for (int first = 0; first < m; first += kTileRows) {
    const int count = std::min(kTileRows, m - first);
    parallel_for(threads_, n_tiles, [&](std::int64_t index, int thread) {
      const std::int64_t row = index * kTileVocab;
      const int n_rows = static_cast<int>(std::min<std::int64_t>(kTileVocab, output_.rows - row));
      float* out = tiles_[to_size(thread)].data();
      tile(linear, row, n_rows, first, count, out, kTileVocab);
      for (int i = 0; i < count; ++i) {
        std::memcpy(logits + (first + i) * output_.rows + row, out + i * kTileVocab,
                    to_size(n_rows) * sizeof(float));
      }
    });
  }
}

void OutputHead::losses(Linear& linear, const float* hidden, std::span<const Token> targets,
                        std::span<TokenLoss> losses) {
  const int m = static_cast<int>(targets.size());
  linear.set_input(hidden, m, config_.n_embd);
  const std::int64_t n_tiles = (output_.rows + kTileVocab - 1) / kTileVocab;
  const std::size_t n_parts = to_size(std::min(m, kTileRows)) * to_size(n_tiles);
  if (parts_.size() < n_parts) parts_ = AlignedBuffer<LogSumExpPart>(n_parts);
  target_logits_.resize(targets.size());
  for (int first = 0; first < m; first += kTileRows) {
    const int count = std::min(kTileRows, m - first);
    const std::span<const Token> wanted = targets.subspan(to_size(first), to_size(count));
    if (std::ranges::none_of(wanted, [](Token t) { return t >= 0; })) continue;
    parallel_for(threads_, n_tiles, [&](std::int64_t index, int thread) {
      const std::int64_t row = index * kTileVocab;
      const int n_rows = static_cast<int>(std::min<std::int64_t>(kTileVocab, output_.rows - row));
      float* out = tiles_[to_size(thread)].data();
      tile(linear, row, n_rows, first, count, out, kTileVocab);
      for (int i = 0; i < count; ++i) {
        const float* logits = out + i * kTileVocab;
        const std::int64_t target = wanted[to_size(i)] - row;
        if (target >= 0 && target < n_rows) target_logits_[to_size(first + i)] = logits[target];
        LogSumExpPart part = kernels_.log_sum_exp_part(logits, n_rows);
        part.argmax += static_cast<std::int32_t>(row);
        parts_[to_size(i * n_tiles + index)] = part;
      }
    });
    for (int i = 0; i < count; ++i) {
      const std::size_t at = to_size(first + i);
      if (targets[at] < 0) continue;
      TokenLoss& loss = losses[at];
      loss.nll =
          merged_loss(parts_.data() + i * n_tiles, n_tiles, target_logits_[at], &loss.argmax);
      if (!std::isfinite(loss.nll)) {
        throw Error(ErrorKind::kEvaluation,
                    fmt::format("the loss of token {} is not finite: the model gives logits that "
                                "are not numbers; check the file or try another KV format",
                                targets[at]));
      }
    }
  }
}

}  // namespace quant
