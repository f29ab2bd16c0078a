// KV formats compared on the same tokens; the first configuration is the baseline.
#pragma once

#include <span>
#include <vector>

#include "quant/kl_divergence.h"
#include "quant/lockstep.h"
#include "quant/paired.h"
#include "quant/perplexity.h"

namespace quant {

/// Losses of all configurations on one text.
struct LockstepResult {
  std::vector<PerplexityResult> configurations;
  /// KL(baseline ‖ configuration) of each scored token, [configurations][scored tokens].
  std::vector<std::vector<double>> divergences;
  std::vector<std::int64_t> run_lengths;  ///< scored tokens of each window
  std::vector<std::int64_t> positions;    ///< of each scored token in its window
};

/// Runs the windows one after the other, all configurations in one pass. Throws what
/// Lockstep::append throws.
LockstepResult measure_lockstep(Lockstep& lockstep, const EvalPlan& plan,
                                const Progress& progress = {});

/// All texts as one, in their order.
LockstepResult pooled(std::span<const LockstepResult> texts);

/// How far a configuration's predictions are from the baseline's.
DivergenceSummary divergence_of(const LockstepResult& result, int configuration);

/// A configuration against the baseline.
struct Comparison {
  PairedResult paired;
  double adjusted_p;  ///< Holm's, over the table
  Judgement judgement;
};
/// All configurations but the baseline, over all tokens of the texts, each of the same weight.
std::vector<Comparison> compare(std::span<const LockstepResult> texts, double margin_percent);
/// The same with each text of the same weight: the macro average.
std::vector<Comparison> compare_macro(std::span<const LockstepResult> texts, double margin_percent);

/// Means over scored tokens at positions [begin, end) of their windows.
struct PositionBin {
  std::int64_t begin;
  std::int64_t end;
  std::int64_t tokens;
  double mean_nll;
  double delta_nll;
  double kl_mean;
};
/// Bins that hold at least one token. `edges` ascends; bin i is [edges[i], edges[i + 1]).
std::vector<PositionBin> position_bins(const LockstepResult& result, int configuration,
                                       std::span<const std::int64_t> edges);
/// Edges of bins that are 1 wide at first and grow by half an octave: 1, 2, 3, 4, 6, 8, 12, 16, …,
/// the last one above the last position.
std::vector<std::int64_t> log_edges(std::int64_t last_position);

}  // namespace quant
