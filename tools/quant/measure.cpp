#include "measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "console.h"
#include "files.h"
#include "logits_exchange.h"
#include "quant/error.h"

namespace quant::tool {

namespace {

std::string name_of_text(const std::string& path) { return path == "-" ? "standard input" : path; }

}  // namespace

std::string text_of(const std::string& path, Protocol protocol) {
  std::string text = read_text(path);
  if (protocol == Protocol::kLlamaCpp && text.ends_with('\n')) text.pop_back();
  if (text.empty()) {
    throw Error(ErrorKind::kUsage, fmt::format("{}: the text is empty", name_of_text(path)));
  }
  return text;
}

Protocol protocol_of(const PplOptions& ppl) {
  const bool with_logits = !ppl.save_logits.empty() || !ppl.kl_base.empty();
  if (ppl.protocol.empty()) return with_logits ? Protocol::kLlamaCpp : Protocol::kContext;
  const Protocol protocol = parse_protocol(ppl.protocol);
  if (with_logits && protocol != Protocol::kLlamaCpp) {
    throw Error(ErrorKind::kUsage,
                fmt::format("--save-logits and --kl-base go with --protocol llamacpp, not {}",
                            ppl.protocol));
  }
  return protocol;
}

PlanOptions plan_options(const RunOptions& run, const PplOptions& ppl) {
  return {.protocol = protocol_of(ppl),
          .context = run.context,
          .stride = ppl.stride,
          .chunks = ppl.chunks,
          .offset = ppl.offset,
          .allow_longer = ppl.allow_longer};
}

void warn_of_lost_bytes(const Tokenizer& tokenizer, const std::vector<Token>& tokens,
                        const std::string& text, const std::string& name) {
  const std::size_t kept = tokenizer.decode(tokens, true).size();
  if (kept >= text.size()) return;
  warn(
      fmt::format("{}: {} of {} bytes have no token in this vocabulary and are left out; is it "
                  "UTF-8?",
                  name, text.size() - kept, text.size()));
}

std::vector<Token> encode_text(const Tokenizer& tokenizer, const std::string& path,
                               const std::string& text, bool parse_special) {
  std::vector<Token> tokens = tokenizer.encode(text, parse_special);
  warn_of_lost_bytes(tokenizer, tokens, text, name_of_text(path));
  return tokens;
}

PlannedText plan_text(const Model& model, const std::string& path, PlanOptions wanted) {
  PlannedText planned{path, text_of(path, wanted.protocol), {}, {}};
  planned.tokens = encode_text(model.tokenizer(), path, planned.text);
  wanted.text_name = name_of_text(path);
  planned.plan = plan_evaluation(model, planned.tokens, wanted);
  return planned;
}

void say_what_is_left_out(const EvalPlan& plan) {
  if (plan.dropped_tokens <= plan.offset) return;
  note(fmt::format("{} of {} tokens of the text are not used", plan.dropped_tokens,
                   plan.text_tokens));
}

SessionOptions options_for(const EvalPlan& plan, SessionOptions options) {
  options.context = plan.session_context;
  options.reserve = plan.context;
  options.batch = std::min(options.batch, plan.context);
  return options;
}

Measurement measure_text(const RunOptions& run, const PplOptions& ppl, const std::string& path,
                         const Progress& progress) {
  const PlanOptions wanted = plan_options(run, ppl);
  const SessionOptions options = session_options(run, MathMode::kExact);
  LogitsExchange logits(ppl);
  const auto model = Model::load(run.model, {.threads = options.threads});
  PlannedText text = logits.plan(*model, path, wanted);
  SessionOptions for_text = options_for(text.plan, options);
  std::optional<ExactMass> mass;
  if (ppl.attention_mass) {
    for_text.observer = &mass.emplace(model->config(), std::span(&options.kv, 1));
  }
  Session session(model, for_text);
  PerplexityResult result = measure_perplexity(session, text.plan, progress, logits.visitor());
  Json record =
      perplexity_record(session, run, text.plan, result, text.text, path, text.tokens, ppl.losses);
  if (mass.has_value()) add_exact_mass(record, mass->share(0));
  logits.finish(record);
  return {std::move(text.plan), std::move(result), std::move(record)};
}

}  // namespace quant::tool
