#include "quant/kl_divergence.h"

#include <algorithm>
#include <cmath>

#include "eval/statistics.h"

namespace quant {
namespace {

constexpr double kSmallestLogProbability = -16.0;

template <class Member>
std::vector<double> column(std::span<const TokenKl> tokens, Member member) {
  std::vector<double> values;
  values.reserve(tokens.size());
  for (const TokenKl& token : tokens) values.push_back(static_cast<double>(token.*member));
  return values;
}

}  // namespace

TokenKl token_kl(const LogProbabilities& base, std::span<const float> logits, Token target,
                 const TokenLoss& loss) {
  // The loss is log-sum-exp less the target's logit.
  const double log_sum_exp =
      loss.nll + static_cast<double>(logits[static_cast<std::size_t>(target)]);
  double kl = 0.0;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    const double log_p = base.of(static_cast<Token>(v));
    if (log_p <= kSmallestLogProbability) continue;
    kl += std::exp(log_p) * (log_p - (static_cast<double>(logits[v]) - log_sum_exp));
  }
  const auto top = std::ranges::max_element(base.codes) - base.codes.begin();
  const double base_nll = -base.of(target);
  return {.kl = kl,
          .base_nll = base_nll,
          .delta_nll = loss.nll - base_nll,
          .delta_p = std::exp(-loss.nll) - std::exp(-base_nll),
          .same_top1 = loss.argmax == static_cast<Token>(top)};
}

KlSummary summarize_kl(std::span<const TokenKl> tokens) {
  std::vector<double> kl = column(tokens, &TokenKl::kl);
  const std::vector<double> delta_nll = column(tokens, &TokenKl::delta_nll);
  std::vector<double> delta_p = column(tokens, &TokenKl::delta_p);
  for (double& p : delta_p) p *= p;
  KlSummary summary{};
  summary.kl_mean = mean(kl);
  summary.kl_standard_error = standard_error(kl);
  std::ranges::sort(kl);
  summary.kl_p50 = quantile(kl, 0.5);
  summary.kl_p90 = quantile(kl, 0.9);
  summary.kl_p95 = quantile(kl, 0.95);
  summary.kl_p99 = quantile(kl, 0.99);
  summary.kl_p999 = quantile(kl, 0.999);
  summary.kl_max = kl.back();
  summary.same_top1 = mean(column(tokens, &TokenKl::same_top1));
  summary.delta_p_rms = std::sqrt(mean(delta_p));
  summary.delta_nll = mean(delta_nll);
  summary.delta_nll_standard_error = standard_error(delta_nll);
  summary.base_perplexity = std::exp(mean(column(tokens, &TokenKl::base_nll)));
  return summary;
}

}  // namespace quant
