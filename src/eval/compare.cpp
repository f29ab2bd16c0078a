#include "quant/compare.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

#include "eval/statistics.h"

namespace quant {
namespace {

/// Differences of the runs of one text, each token of the given weight.
void add_runs(const LockstepResult& text, std::span<const double> deltas, double weight,
              std::vector<PairedRun>& runs) {
  std::size_t begin = 0;
  for (const std::int64_t length : text.run_lengths) {
    runs.push_back({deltas.subspan(begin, static_cast<std::size_t>(length)), weight});
    begin += static_cast<std::size_t>(length);
  }
}

std::vector<double> deltas_of(const LockstepResult& result, std::size_t configuration) {
  const std::vector<TokenLoss>& baseline = result.configurations.front().losses;
  const std::vector<TokenLoss>& losses = result.configurations[configuration].losses;
  std::vector<double> deltas(losses.size());
  for (std::size_t i = 0; i < deltas.size(); ++i) deltas[i] = losses[i].nll - baseline[i].nll;
  return deltas;
}

std::vector<Comparison> compare_weighted(
    std::span<const LockstepResult> texts, double margin_percent,
    const std::function<double(const LockstepResult&)>& weight) {
  std::vector<Comparison> table;
  std::vector<double> p_values;
  for (std::size_t c = 1; c < texts.front().configurations.size(); ++c) {
    std::vector<std::vector<double>> deltas;
    deltas.reserve(texts.size());
    std::vector<PairedRun> runs;
    for (const LockstepResult& text : texts) {
      deltas.push_back(deltas_of(text, c));
      add_runs(text, deltas.back(), weight(text), runs);
    }
    table.push_back({compare_paired(runs), 1.0, {}});
    p_values.push_back(table.back().paired.p_value);
  }
  const std::vector<double> adjusted = holm_adjusted(p_values);
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i].adjusted_p = adjusted[i];
    table[i].judgement = judge(table[i].paired, adjusted[i], margin_percent);
  }
  return table;
}

/// What the windows give, before it is summarized.
struct Collected {
  std::vector<std::vector<TokenLoss>> losses;  // [configurations][scored tokens]
  std::vector<Token> targets;                  // [scored tokens]
  LockstepResult result;
};

/// Scores one window of every configuration from empty caches.
void score_window(Lockstep& lockstep, const EvalWindow& window, Collected& to,
                  const std::function<void(std::int64_t)>& advance) {
  const std::vector<Token> targets = window.targets();
  const std::size_t n = targets.size();
  const std::size_t step = static_cast<std::size_t>(lockstep.options().batch);
  const std::size_t n_configurations = to.losses.size();
  std::vector<TokenLoss> losses(n_configurations * std::min(n, step));
  std::vector<double> divergences(losses.size());
  lockstep.reset();
  for (std::size_t begin = 0; begin < n; begin += step) {
    const std::size_t count = std::min(step, n - begin);
    const std::size_t rows = n_configurations * count;
    lockstep.append(std::span(window.tokens).subspan(begin, count),
                    std::span(targets).subspan(begin, count), std::span(losses).first(rows),
                    std::span(divergences).first(rows));
    for (std::size_t i = 0; i < count; ++i) {
      if (targets[begin + i] < 0) continue;
      to.targets.push_back(targets[begin + i]);
      to.result.positions.push_back(static_cast<std::int64_t>(begin + i + 1));
      for (std::size_t c = 0; c < n_configurations; ++c) {
        to.losses[c].push_back(losses[c * count + i]);
        to.result.divergences[c].push_back(divergences[c * count + i]);
      }
    }
    advance(static_cast<std::int64_t>(count));
  }
  to.result.run_lengths.push_back(window.scored_tokens());
}

}  // namespace

LockstepResult measure_lockstep(Lockstep& lockstep, const EvalPlan& plan,
                                const Progress& progress) {
  const std::size_t n = static_cast<std::size_t>(lockstep.size());
  Collected collected;
  collected.losses.resize(n);
  collected.result.divergences.resize(n);
  const std::int64_t total = plan.run_tokens();
  std::int64_t done = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (const EvalWindow& window : plan.windows) {
    score_window(lockstep, window, collected, [&](std::int64_t count) {
      done += count;
      if (progress) progress(done, total);
    });
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  for (std::vector<TokenLoss>& losses : collected.losses) {
    collected.result.configurations.push_back(summarize(
        std::move(losses), collected.targets, collected.result.run_lengths, seconds.count()));
  }
  return std::move(collected.result);
}

LockstepResult pooled(std::span<const LockstepResult> texts) {
  LockstepResult all;
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  const std::size_t n = texts.front().configurations.size();
  all.divergences.resize(n);
  for (const LockstepResult& text : texts) {
    append(all.run_lengths, text.run_lengths);
    append(all.positions, text.positions);
    for (std::size_t c = 0; c < n; ++c) append(all.divergences[c], text.divergences[c]);
  }
  for (std::size_t c = 0; c < n; ++c) {
    std::vector<TokenLoss> losses;
    std::vector<Token> targets;
    double seconds = 0.0;
    for (const LockstepResult& text : texts) {
      append(losses, text.configurations[c].losses);
      append(targets, text.configurations[c].targets);
      seconds += text.configurations[c].seconds;
    }
    all.configurations.push_back(
        summarize(std::move(losses), std::move(targets), all.run_lengths, seconds));
  }
  return all;
}

DivergenceSummary divergence_of(const LockstepResult& result, int configuration) {
  const std::size_t c = static_cast<std::size_t>(configuration);
  const std::vector<TokenLoss>& baseline = result.configurations.front().losses;
  const std::vector<TokenLoss>& losses = result.configurations[c].losses;
  DivergenceColumns columns{.kl = result.divergences[c], .delta_p = {}, .same_top1 = {}};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    columns.delta_p.push_back(std::exp(-losses[i].nll) - std::exp(-baseline[i].nll));
    columns.same_top1.push_back(losses[i].argmax == baseline[i].argmax ? 1.0 : 0.0);
  }
  return summarize_divergence(std::move(columns));
}

std::vector<Comparison> compare(std::span<const LockstepResult> texts, double margin_percent) {
  return compare_weighted(texts, margin_percent, [](const LockstepResult&) { return 1.0; });
}

std::vector<Comparison> compare_macro(std::span<const LockstepResult> texts,
                                      double margin_percent) {
  return compare_weighted(texts, margin_percent, [](const LockstepResult& text) {
    return 1.0 / static_cast<double>(text.positions.size());
  });
}

std::vector<PositionBin> position_bins(const LockstepResult& result, int configuration,
                                       std::span<const std::int64_t> edges) {
  const std::size_t c = static_cast<std::size_t>(configuration);
  const std::vector<TokenLoss>& losses = result.configurations[c].losses;
  const std::vector<double> deltas = deltas_of(result, c);
  std::vector<PositionBin> bins;
  for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
    bins.push_back({edges[i], edges[i + 1], 0, 0.0, 0.0, 0.0});
  }
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto edge = std::ranges::upper_bound(edges, result.positions[i]);
    if (edge == edges.begin() || edge == edges.end()) continue;
    PositionBin& bin = bins[static_cast<std::size_t>(edge - edges.begin()) - 1];
    ++bin.tokens;
    bin.mean_nll += losses[i].nll;
    bin.delta_nll += deltas[i];
    bin.kl_mean += result.divergences[c][i];
  }
  std::erase_if(bins, [](const PositionBin& bin) { return bin.tokens == 0; });
  for (PositionBin& bin : bins) {
    const double n = static_cast<double>(bin.tokens);
    bin.mean_nll /= n;
    bin.delta_nll /= n;
    bin.kl_mean /= n;
  }
  return bins;
}

std::vector<std::int64_t> log_edges(std::int64_t last_position) {
  std::vector<std::int64_t> edges = {1, 2, 3};
  while (edges.back() <= last_position) edges.push_back(2 * edges[edges.size() - 2]);
  return edges;
}

}  // namespace quant
