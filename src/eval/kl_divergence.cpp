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

DivergenceSummary summarize_divergence(DivergenceColumns columns) {
  DivergenceSummary summary{};
  summary.kl_mean = mean(columns.kl);
  summary.kl_standard_error = standard_error(columns.kl);
  std::ranges::sort(columns.kl);
  summary.kl_p50 = quantile(columns.kl, 0.5);
  summary.kl_p90 = quantile(columns.kl, 0.9);
  summary.kl_p95 = quantile(columns.kl, 0.95);
  summary.kl_p99 = quantile(columns.kl, 0.99);
  summary.kl_p999 = quantile(columns.kl, 0.999);
  summary.kl_max = quantile(columns.kl, 1.0);
  summary.same_top1 = mean(columns.same_top1);
  for (double& change : columns.delta_p) change *= change;
  summary.delta_p_rms = std::sqrt(mean(columns.delta_p));
  return summary;
}

KlSummary summarize_kl(std::span<const TokenKl> tokens) {
  const std::vector<double> delta_nll = column(tokens, &TokenKl::delta_nll);
  return {.divergence =
              summarize_divergence({column(tokens, &TokenKl::kl), column(tokens, &TokenKl::delta_p),
                                    column(tokens, &TokenKl::same_top1)}),
          .delta_nll = mean(delta_nll),
          .delta_nll_standard_error = standard_error(delta_nll),
          .base_perplexity = std::exp(mean(column(tokens, &TokenKl::base_nll)))};
}

}  // namespace quant
