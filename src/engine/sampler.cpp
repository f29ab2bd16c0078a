#include "quant/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/splitmix64.h"
#include "quant/error.h"

namespace quant {
namespace {

void require(bool holds, const char* message) {
  if (!holds) throw Error(ErrorKind::kUsage, message);
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), state_(options.seed) {
  require(options.temperature >= 0.0f && std::isfinite(options.temperature),
          "the temperature must be 0 or more");
  require(options.top_k >= 0, "--top-k must be 0 or more");
  require(options.top_p > 0.0f && options.top_p <= 1.0f, "--top-p must be in (0, 1]");
  require(options.min_p >= 0.0f && options.min_p <= 1.0f, "--min-p must be in [0, 1]");
  require(options.repeat_penalty >= 0.01f && options.repeat_penalty <= 100.0f,
          "--repeat-penalty must be in [0.01, 100]");
}

Token Sampler::sample(std::span<const float> logits, std::span<const Token> history) {
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isfinite(logits[i])) candidates_.push_back({static_cast<Token>(i), logits[i], 0.0});
  }
  if (candidates_.empty()) {
    throw Error(ErrorKind::kEvaluation, "the model gives no finite logit: nothing can be sampled");
  }
  penalize(history);
  const auto more_likely = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  if (options_.temperature == 0.0f) {
    return std::ranges::min_element(candidates_, more_likely)->token;
  }
  std::size_t kept = candidates_.size();
  if (options_.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(options_.top_k));
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(kept),
                    candidates_.end(), more_likely);
  candidates_.resize(kept);
  keep_likely();
  double total = 0.0;
  const float best = candidates_.front().logit;
  for (Candidate& c : candidates_) {
    c.probability = std::exp(static_cast<double>((c.logit - best) / options_.temperature));
    total += c.probability;
  }
  SplitMix64 random(state_);
  double left = random.uniform() * total;
  state_ = random.state();
  for (const Candidate& c : candidates_) {
    left -= c.probability;
    if (left < 0.0) return c.token;
  }
  return candidates_.back().token;
}

/// Keskar et al., arXiv 1909.05858, section 4.1: positive logits are divided, negative multiplied.
void Sampler::penalize(std::span<const Token> history) {
  if (options_.repeat_penalty == 1.0f) return;
  const std::size_t n =
      std::min(history.size(), static_cast<std::size_t>(std::max(0, options_.repeat_last)));
  std::vector<Token> recent(history.end() - static_cast<std::ptrdiff_t>(n), history.end());
  std::ranges::sort(recent);
  for (Candidate& c : candidates_) {
    if (!std::ranges::binary_search(recent, c.token)) continue;
    c.logit =
        c.logit > 0.0f ? c.logit / options_.repeat_penalty : c.logit * options_.repeat_penalty;
  }
}

/// Drops the tail of the sorted candidates by top-p, then by min-p.
void Sampler::keep_likely() {
  double total = 0.0;
  const float best = candidates_.front().logit;
  for (Candidate& c : candidates_) {
    c.probability = std::exp(static_cast<double>(c.logit - best));
    total += c.probability;
  }
  std::size_t kept = 0;
  double sum = 0.0;
  while (kept < candidates_.size() &&
         (kept == 0 || sum < static_cast<double>(options_.top_p) * total)) {
    sum += candidates_[kept++].probability;
  }
  while (kept > 1 && candidates_[kept - 1].probability < static_cast<double>(options_.min_p))
    --kept;
  candidates_.resize(kept);
}

}  // namespace quant
