#include "engine/output_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <numeric>

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

/// Whole tokens of all sequences and whole groups of inputs.
int rows_of_a_tile(int group, int n_sequences) {
  const int unit = std::lcm(group, n_sequences);
  return std::max(unit, kTileRows / unit * unit);
}

}  // namespace

OutputHead::OutputHead(const Model& model, const SessionOptions& options, int n_sequences,
                       int input_group)
    : config_(model.config()),
      output_(model.weights().output),
      kernels_(kernels_for(options.isa)),
      threads_(options.threads),
      n_sequences_(n_sequences),
      tile_rows_(rows_of_a_tile(input_group, n_sequences)),
      tiles_(to_size(options.threads)),
      weights_(to_size(options.threads)) {
  const int rows = std::min(tile_rows_, options.batch * n_sequences);
  for (AlignedBuffer<float>& tile : tiles_) tile = AlignedBuffer<float>(to_size(rows) * kTileVocab);
  if (n_sequences > 1) {
    for (AlignedBuffer<float>& weights : weights_) weights = AlignedBuffer<float>(kTileVocab);
    differences_ = AlignedBuffer<double>(to_size(rows) * to_size(n_tiles()));
  }
  target_logits_.resize(to_size(rows));
}

/// Calls visit(first row of w, number of rows, logits [count][kTileVocab], thread) for every tile
/// of the vocabulary, for rows [first, first + count) of the input.
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
    visit(row, n_rows, out, thread);
  });
}

std::int64_t OutputHead::n_tiles() const noexcept {
  return (output_.rows + kTileVocab - 1) / kTileVocab;
}

void OutputHead::logits(Linear& linear, const float* hidden, int m, float* logits) {
  linear.set_input(hidden, m, config_.n_embd);
  for (int first = 0; first < m; first += tile_rows_) {
    const int count = std::min(tile_rows_, m - first);
    for_each_tile(linear, first, count, [&](std::int64_t row, int n_rows, const float* tile, int) {
      for (int i = 0; i < count; ++i) {
        std::memcpy(logits + (first + i) * output_.rows + row, tile + i * kTileVocab,
                    to_size(n_rows) * sizeof(float));
      }
    });
  }
}

void OutputHead::losses(Linear& linear, const float* hidden, std::span<const Token> targets,
                        const LossRows& out) {
  const int m = static_cast<int>(targets.size());
  linear.set_input(hidden, m * n_sequences_, config_.n_embd);
  const int tile_tokens = tile_rows_ / n_sequences_;
  const std::size_t n_parts = to_size(std::min(m, tile_tokens) * n_sequences_) * to_size(n_tiles());
  if (parts_.size() < n_parts) parts_ = AlignedBuffer<LogSumExpPart>(n_parts);
  for (int first = 0; first < m; first += tile_tokens) {
    const int count = std::min(tile_tokens, m - first);
    const std::span<const Token> wanted = targets.subspan(to_size(first), to_size(count));
    if (std::ranges::none_of(wanted, [](Token t) { return t >= 0; })) continue;
    for_each_tile(linear, first * n_sequences_, count * n_sequences_,
                  [&](std::int64_t row, int n_rows, const float* tile, int thread) {
                    reduce_tile(row / kTileVocab, n_rows, tile, wanted,
                                weights_[to_size(thread)].data());
                  });
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] >= 0) merge_token(i, wanted[i], to_size(first) + i, out);
    }
  }
}

/// Reduces a tile's logits [tokens][sequences][kTileVocab] of scored tokens to parts. weights:
/// [kTileVocab], scratch.
void OutputHead::reduce_tile(std::int64_t tile, int n_rows, const float* logits,
                             std::span<const Token> targets, float* weights) noexcept {
  const std::int64_t first_row = tile * kTileVocab;
  const int padded = (n_rows + kPanelRows - 1) / kPanelRows * kPanelRows;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] < 0) continue;
    const std::int64_t target = targets[i] - first_row;
    const float* base = logits + i * to_size(n_sequences_) * kTileVocab;
    double unit = 0.0;  // of the weights, in those relative to the maximum
    for (int s = 0; s < n_sequences_; ++s) {
      const std::size_t row = i * to_size(n_sequences_) + to_size(s);
      const float* own = base + to_size(s) * kTileVocab;
      if (target >= 0 && target < n_rows) target_logits_[row] = own[target];
      LogSumExpPart part = kernels_.log_sum_exp_part(own, n_rows);
      part.argmax += static_cast<std::int32_t>(first_row);
      const std::size_t at = row * to_size(n_tiles()) + to_size(tile);
      parts_[at] = part;
      if (n_sequences_ == 1) continue;
      if (s == 0) {
        std::copy_n(own, n_rows, weights);
        std::fill(weights + n_rows, weights + padded, -std::numeric_limits<float>::infinity());
        float exponent = 0.0f;
        float sum = 0.0f;
        kernels_.softmax_part(weights, to_size(padded), 1, padded, &exponent, &sum, {});
        unit = std::exp(static_cast<double>(exponent) * std::numbers::ln2 -
                        static_cast<double>(part.maximum));
        differences_[at] = 0.0;
      } else {
        differences_[at] = unit * kernels_.weighted_difference(weights, base, own, n_rows);
      }
    }
  }
}

double OutputHead::Softmax::log_sum_exp() const noexcept { return std::log(sum) + maximum; }

OutputHead::Softmax OutputHead::merged(std::size_t row) const noexcept {
  const std::span<const LogSumExpPart> parts(parts_.data() + row * to_size(n_tiles()),
                                             to_size(n_tiles()));
  const LogSumExpPart& top = *std::ranges::max_element(parts, {}, &LogSumExpPart::maximum);
  Softmax all{static_cast<double>(top.maximum), 0.0, top.argmax};
  for (const LogSumExpPart& part : parts) {
    all.sum += part.sum * std::exp(static_cast<double>(part.maximum) - all.maximum);
  }
  return all;
}

/// KL(b ‖ c) = Σ p_b·(b - c) - log Σ exp b + log Σ exp c. Below zero it could only be by rounding.
double OutputHead::divergence(std::size_t row, const Softmax& base,
                              const Softmax& other) const noexcept {
  const std::size_t base_row = row - row % to_size(n_sequences_);
  const LogSumExpPart* parts = parts_.data() + base_row * to_size(n_tiles());
  const double* differences = differences_.data() + row * to_size(n_tiles());
  double sum = 0.0;
  for (std::int64_t t = 0; t < n_tiles(); ++t) {
    sum += differences[t] * std::exp(static_cast<double>(parts[t].maximum) - base.maximum);
  }
  return std::max(0.0, sum / base.sum - base.log_sum_exp() + other.log_sum_exp());
}

/// Losses and divergences of a token of the parts, to entry `at` of the output's rows.
void OutputHead::merge_token(std::size_t token, Token target, std::size_t at,
                             const LossRows& out) const {
  Softmax base{};
  for (std::size_t s = 0; s < to_size(n_sequences_); ++s) {
    const std::size_t row = token * to_size(n_sequences_) + s;
    const Softmax own = merged(row);
    const double nll = own.log_sum_exp() - static_cast<double>(target_logits_[row]);
    if (!std::isfinite(nll)) {
      throw Error(ErrorKind::kEvaluation,
                  fmt::format("the loss of token {} is not finite: the model gives logits that are "
                              "not numbers; check the file or try another KV format",
                              target));
    }
    out.losses[s * out.stride + at] = {nll, own.argmax};
    if (s == 0) base = own;
    if (n_sequences_ > 1) {
      out.divergences[s * out.stride + at] = s == 0 ? 0.0 : divergence(row, base, own);
    }
  }
}

}  // namespace quant
