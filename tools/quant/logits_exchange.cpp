#include "logits_exchange.h"

#include <fmt/format.h>

#include <utility>

#include "quant/error.h"

namespace quant::tool {
namespace {

void add_kl(Json& record, const std::string& base_path, const KlSummary& kl) {
  record["kl_base_path"] = base_path;
  record["base_perplexity"] = number_or_null(kl.base_perplexity);
  record["delta_nll"] = kl.delta_nll;
  record["delta_nll_standard_error"] = number_or_null(kl.delta_nll_standard_error);
  record.update(divergence_record(kl.divergence));
}

}  // namespace

LogitsExchange::LogitsExchange(const PplOptions& ppl)
    : save_path_(ppl.save_logits), base_path_(ppl.kl_base) {
  if (!save_path_.empty()) check_writable(save_path_);
  if (!base_path_.empty()) base_.emplace(base_path_);
}

PlannedText LogitsExchange::plan(const Model& model, const std::string& path, PlanOptions wanted) {
  if (base_.has_value()) {
    if (path.empty()) return plan_of_base(model, wanted);
    if (wanted.context == 0) wanted.context = base_->header().context;
    if (wanted.chunks == 0) wanted.chunks = base_->header().chunks;
  }
  PlannedText text = plan_text(model, path, wanted);
  if (base_.has_value() || !save_path_.empty()) {
    header_ = logits_header(model, text.plan, text.tokens);
  }
  if (base_.has_value()) require_same_tokens(base_->header(), header_);
  return text;
}

PlannedText LogitsExchange::plan_of_base(const Model& model, const PlanOptions& wanted) {
  header_ = base_->header();
  if (wanted.context != 0 && wanted.context != header_.context) {
    throw Error(ErrorKind::kUsage, fmt::format("{} is of contexts of {} tokens, not of -c {}",
                                               base_path_, header_.context, wanted.context));
  }
  if (wanted.offset > 0) {
    throw Error(ErrorKind::kUsage,
                fmt::format("--offset needs the text that {} is of: --ppl FILE", base_path_));
  }
  if (wanted.chunks > 0) header_.keep_chunks(wanted.chunks);
  EvalPlan plan = plan_of(model, header_, wanted.allow_longer);
  plan.chunks = wanted.chunks;
  return {.path = {}, .text = {}, .tokens = header_.tokens, .plan = std::move(plan)};
}

LogitsVisitor LogitsExchange::visitor() {
  if (!save_path_.empty()) {
    file_.emplace(save_path_);
    writer_.emplace(header_, [this](std::string_view bytes) { file_->write(bytes); });
  }
  if (!base_.has_value() && !writer_.has_value()) return {};
  return [this](std::span<const float> logits, Token target, const TokenLoss& loss) {
    take(logits, target, loss);
  };
}

void LogitsExchange::take(std::span<const float> logits, Token target, const TokenLoss& loss) {
  if (writer_.has_value()) writer_->add(logits);
  if (!base_.has_value()) return;
  const LogProbabilities row = base_->row(static_cast<std::int64_t>(tokens_.size()));
  tokens_.push_back(token_kl(row, logits, target, loss));
}

void LogitsExchange::finish(Json& record) {
  if (file_.has_value()) file_->commit();
  if (base_.has_value()) add_kl(record, base_path_, summarize_kl(tokens_));
}

}  // namespace quant::tool
