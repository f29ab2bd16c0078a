#include "quant/needle.h"

#include "quant/proportion.h"

namespace quant {
namespace {

RetrievalComparison compare_pairs(std::span<const Retrieval> baseline,
                                  std::span<const Retrieval> configuration) {
  RetrievalComparison comparison{};
  std::vector<double> deltas(baseline.size());
  for (std::size_t i = 0; i < baseline.size(); ++i) {
    comparison.lost += baseline[i].exact && !configuration[i].exact ? 1 : 0;
    comparison.gained += !baseline[i].exact && configuration[i].exact ? 1 : 0;
    deltas[i] = baseline[i].log_probability - configuration[i].log_probability;
  }
  // Trials are independent: a run each, so that each is a block of its own.
  std::vector<PairedRun> runs;
  runs.reserve(deltas.size());
  for (const double& delta : deltas) runs.push_back({{&delta, 1}});
  comparison.mcnemar_p = mcnemar_exact_p(comparison.lost, comparison.gained);
  comparison.paired = compare_paired(runs);
  return comparison;
}

}  // namespace

EvalPlan needle_plan(std::span<const NeedlePrompt> prompts) {
  EvalPlan plan{};
  plan.protocol = Protocol::kContext;
  plan.context = prompts.front().length;
  plan.session_context = plan.context;
  for (const NeedlePrompt& prompt : prompts) plan.windows.push_back(prompt.window);
  return plan;
}

std::vector<Retrieval> retrievals_of(const LockstepResult& result, int configuration) {
  const PerplexityResult& scored = result.configurations[static_cast<std::size_t>(configuration)];
  std::vector<Retrieval> retrievals;
  std::size_t at = 0;
  for (const std::int64_t length : result.run_lengths) {
    Retrieval retrieval{0.0, true};
    for (const std::size_t end = at + static_cast<std::size_t>(length); at < end; ++at) {
      retrieval.log_probability -= scored.losses[at].nll;
      retrieval.exact = retrieval.exact && scored.losses[at].argmax == scored.targets[at];
    }
    retrievals.push_back(retrieval);
  }
  return retrievals;
}

RetrievalSummary summarize_retrievals(std::span<const Retrieval> retrievals) noexcept {
  RetrievalSummary summary{static_cast<std::int64_t>(retrievals.size()), 0, 0.0};
  for (const Retrieval& r : retrievals) {
    summary.exact += r.exact ? 1 : 0;
    summary.log_probability += r.log_probability / static_cast<double>(retrievals.size());
  }
  return summary;
}

std::vector<RetrievalComparison> compare_retrievals(
    std::span<const std::vector<Retrieval>> configurations) {
  std::vector<RetrievalComparison> table;
  std::vector<double> mcnemar;
  std::vector<double> p_values;
  for (const std::vector<Retrieval>& configuration : configurations.subspan(1)) {
    table.push_back(compare_pairs(configurations.front(), configuration));
    mcnemar.push_back(table.back().mcnemar_p);
    p_values.push_back(table.back().paired.p_value);
  }
  mcnemar = holm_adjusted(mcnemar);
  p_values = holm_adjusted(p_values);
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i].adjusted_mcnemar_p = mcnemar[i];
    table[i].adjusted_p = p_values[i];
  }
  return table;
}

}  // namespace quant
