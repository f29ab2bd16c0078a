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

struct KlSummary {
  double kl_mean;
  double kl_standard_error;  ///< tokens taken as independent
  double kl_p50;             ///< quantiles, linear between ranks
  double kl_p90;
  double kl_p95;
  double kl_p99;
  double kl_p999;
  double kl_max;
  double same_top1;  ///< share of tokens
  double delta_p_rms;
  double delta_nll;  ///< mean: ln(PPL / PPL of the base)
  double delta_nll_standard_error;
  double base_perplexity;
};
/// At least one token.
KlSummary summarize_kl(std::span<const TokenKl> tokens);

}  // namespace quant
