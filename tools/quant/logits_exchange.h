// Files of log-probabilities that a measurement writes (--save-logits) and compares itself with
// (--kl-base).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "files.h"
#include "measure.h"
#include "quant/kl_divergence.h"
#include "quant/logits_file.h"

namespace quant::tool {

/// One measurement's. Without either option it does nothing and no logits are computed.
class LogitsExchange {
 public:
  /// Opens the base. Throws Error(kIo), also if what is to be written could not be.
  explicit LogitsExchange(const PplOptions& ppl);
  LogitsExchange(const LogitsExchange&) = delete;
  LogitsExchange& operator=(const LogitsExchange&) = delete;

  /// The text, or the base's tokens for an empty path, in windows. What is not said about them is
  /// as in the base. Throws Error(kUsage) if the base is of other tokens, and what plan_text
  /// throws.
  PlannedText plan(const Model& model, const std::string& path, PlanOptions wanted);
  /// Begins to write what was planned. The visitor lives no longer than this object. Throws
  /// Error(kIo).
  LogitsVisitor visitor();
  /// Puts the written file in its place and the divergences into the record. Throws Error(kIo).
  void finish(Json& record);

 private:
  PlannedText plan_of_base(const Model& model, const PlanOptions& wanted);
  void take(std::span<const float> logits, Token target, const TokenLoss& loss);

  std::string save_path_;  // "" = do not
  std::string base_path_;  // "" = none
  std::optional<LogitsReader> base_;
  LogitsHeader header_{};  // of the plan
  std::optional<OutputFile> file_;
  std::optional<LogitsWriter> writer_;
  std::vector<TokenKl> tokens_;
};

}  // namespace quant::tool
