// How far a configuration's predictions are from those of a base, token by token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/logits_file.h"
#include "quant/session.h"

namespace quant {

/// One scored token under the base and under the configuration.
struct TokenKl {
  double kl;         ///< KL(base ‖ configuration) in nats
  double base_nll;   ///< loss of the target under the base, in nats
  double delta_nll;  ///< the configuration's loss less the base's
  double delta_p;    ///< probability of the target, less the base's
  bool same_top1;    ///< both have the same most likely token
};

/// Terms of tokens that the base holds for less likely than e^-16 are left out, as llama.cpp does.
/// The file's rounding makes a KL of a configuration and itself about 1e-9, of either sign.
TokenKl token_kl(const LogProbabilities& base, std::span<const float> logits, Token target,
                 const TokenLoss& loss);

/// What both ways of measuring divergence have of each scored token, a column each.
struct DivergenceColumns {
  std::vector<double> kl;         ///< KL(base ‖ configuration) in nats
  std::vector<double> delta_p;    ///< change of the target's probability
  std::vector<double> same_top1;  ///< 1 if both have the same most likely token, else 0
};

struct DivergenceSummary {
  double kl_mean;
  double kl_standard_error;  ///< tokens taken as independent; NaN for one
  double kl_p50;             ///< quantiles, linear between ranks
  double kl_p90;
  double kl_p95;
  double kl_p99;
  double kl_p999;
  double kl_max;
  double same_top1;    ///< share of tokens
  double delta_p_rms;  ///< root mean square
};
/// No tokens at all give zeros.
DivergenceSummary summarize_divergence(DivergenceColumns columns);

/// Also what a base without losses of its own measures: those it was saved with.
struct KlSummary {
  DivergenceSummary divergence;
  double delta_nll;  ///< mean: ln(PPL / PPL of the base)
  double delta_nll_standard_error;
  double base_perplexity;
};
KlSummary summarize_kl(std::span<const TokenKl> tokens);

}  // namespace quant
