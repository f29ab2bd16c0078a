#include "quant/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "eval/statistics.h"

namespace quant {
namespace {

/// Rows of logits that exist at one time.
constexpr std::size_t kVisitedRows = 32;

/// Shows the scored tokens of the last batch.
void visit_batch(Session& session, std::span<const Token> targets,
                 std::span<const TokenLoss> losses, const LogitsVisitor& visit) {
  const auto is_scored = [](Token target) { return target >= 0; };
  const std::size_t begin =
      static_cast<std::size_t>(std::ranges::find_if(targets, is_scored) - targets.begin());
  const std::size_t n_vocab = static_cast<std::size_t>(session.model().config().n_vocab);
  for (std::size_t first = begin; first < targets.size(); first += kVisitedRows) {
    const std::size_t count = std::min(kVisitedRows, targets.size() - first);
    const std::span<const float> logits = session.logits(first, count);
    for (std::size_t i = 0; i < count; ++i) {
      visit(logits.subspan(i * n_vocab, n_vocab), targets[first + i], losses[first + i]);
    }
  }
}

/// Scores one window from an empty cache and appends its losses and targets.
void score_window(Session& session, const EvalWindow& window, std::vector<TokenLoss>& all_losses,
                  std::vector<Token>& all_targets, const LogitsVisitor& visit,
                  const std::function<void(std::int64_t)>& advance) {
  const std::vector<Token> targets = window.targets();
  const std::size_t n = targets.size();
  std::vector<TokenLoss> losses(n);
  session.reset();
  const std::size_t step = static_cast<std::size_t>(session.options().batch);
  for (std::size_t begin = 0; begin < n; begin += step) {
    const std::size_t count = std::min(step, n - begin);
    const std::span<const Token> wanted = std::span(targets).subspan(begin, count);
    const std::span<TokenLoss> found = std::span(losses).subspan(begin, count);
    session.append(std::span(window.tokens).subspan(begin, count), wanted, found);
    if (visit) visit_batch(session, wanted, found, visit);
    advance(static_cast<std::int64_t>(count));
  }
  const auto from = static_cast<std::ptrdiff_t>(window.first_scored - 1);
  all_losses.insert(all_losses.end(), losses.begin() + from, losses.end());
  all_targets.insert(all_targets.end(), targets.begin() + from, targets.end());
}

std::vector<Block> blocks_of(std::span<const double> nll,
                             std::span<const std::int64_t> run_lengths) {
  std::vector<Block> blocks;
  std::size_t begin = 0;
  for (const std::int64_t length : run_lengths) {
    append_blocks(nll.subspan(begin, static_cast<std::size_t>(length)), 1.0, blocks);
    begin += static_cast<std::size_t>(length);
  }
  return blocks;
}

}  // namespace

PerplexityResult summarize(std::vector<TokenLoss> losses, std::vector<Token> targets,
                           std::span<const std::int64_t> run_lengths, double seconds) {
  PerplexityResult result{};
  std::vector<double> nll;
  nll.reserve(losses.size());
  for (const TokenLoss& loss : losses) nll.push_back(loss.nll);
  result.scored_tokens = static_cast<std::int64_t>(nll.size());
  result.mean_nll = mean(nll);
  result.perplexity = std::exp(result.mean_nll);
  result.standard_error = result.perplexity * standard_error(nll);
  result.standard_error_blocks =
      result.perplexity * block_standard_error(blocks_of(nll, run_lengths));
  result.losses = std::move(losses);
  result.targets = std::move(targets);
  result.seconds = seconds;
  return result;
}

PerplexityResult measure_perplexity(Session& session, const EvalPlan& plan,
                                    const Progress& progress, const LogitsVisitor& visit) {
  std::vector<TokenLoss> losses;
  std::vector<Token> targets;
  std::vector<std::int64_t> run_lengths;
  const std::int64_t total = plan.run_tokens();
  std::int64_t done = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (const EvalWindow& window : plan.windows) {
    score_window(session, window, losses, targets, visit, [&](std::int64_t n) {
      done += n;
      if (progress) progress(done, total);
    });
    run_lengths.push_back(window.scored_tokens());
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return summarize(std::move(losses), std::move(targets), run_lengths, seconds.count());
}

}  // namespace quant
