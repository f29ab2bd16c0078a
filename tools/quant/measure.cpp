#include "measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "files.h"
#include "quant/error.h"

namespace quant::tool {
std::string text_of(const std::string& path, Protocol protocol) {
  std::string text = read_text(path);
  if (protocol == Protocol::kLlamaCpp && text.ends_with('\n')) text.pop_back();
  if (text.empty()) {
    throw Error(ErrorKind::kUsage, fmt::format("{}: the text is empty",
                                               path == "-" ? "standard input" : path.c_str()));
  }
  return text;
}

PlanOptions plan_options(const RunOptions& run, const PplOptions& ppl) {
  return {.protocol = parse_protocol(ppl.protocol),
          .context = run.context,
          .stride = ppl.stride,
          .chunks = ppl.chunks,
          .offset = ppl.offset,
          .allow_longer = ppl.allow_longer};
}

Measurement measure_text(const RunOptions& run, const PplOptions& ppl, const std::string& path,
                         const Progress& progress) {
  const PlanOptions wanted = plan_options(run, ppl);
  SessionOptions options = session_options(run, MathMode::kExact);
  const auto model = Model::load(run.model, {.threads = options.threads});
  const std::string text = text_of(path, wanted.protocol);
  const std::vector<Token> tokens = model->tokenizer().encode(text);
  EvalPlan plan = plan_evaluation(*model, tokens, wanted);
  options.context = plan.session_context;
  options.reserve = plan.context;
  options.batch = std::min(options.batch, plan.context);
  Session session(model, options);
  PerplexityResult result = measure_perplexity(session, plan, progress);
  Json record = perplexity_record(session, run, plan, result, text, path, tokens);
  record["text_offset"] = ppl.offset;
  return {std::move(plan), std::move(result), std::move(record)};
}

}  // namespace quant::tool
