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

/// Scores one window from an empty cache and appends its losses to the result.
void score_window(Session& session, const EvalWindow& window, PerplexityResult& result,
                  const LogitsVisitor& visit, const std::function<void(std::int64_t)>& advance) {
  const std::size_t n = window.tokens.size() - 1;  // the last token predicts nothing here
  const std::size_t first = static_cast<std::size_t>(window.first_scored) - 1;
  std::vector<Token> targets(n, -1);
  std::copy(window.tokens.begin() + window.first_scored, window.tokens.end(),
            targets.begin() + static_cast<std::ptrdiff_t>(first));
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
  const auto from = static_cast<std::ptrdiff_t>(first);
  result.losses.insert(result.losses.end(), losses.begin() + from, losses.end());
  result.targets.insert(result.targets.end(), targets.begin() + from, targets.end());
}

}  // namespace

PerplexityResult measure_perplexity(Session& session, const EvalPlan& plan,
                                    const Progress& progress, const LogitsVisitor& visit) {
  PerplexityResult result{};
  const std::int64_t total = plan.run_tokens();
  std::int64_t done = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (const EvalWindow& window : plan.windows) {
    score_window(session, window, result, visit, [&](std::int64_t n) {
      done += n;
      if (progress) progress(done, total);
    });
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::vector<double> nll;
  nll.reserve(result.losses.size());
  for (const TokenLoss& loss : result.losses) nll.push_back(loss.nll);
  result.scored_tokens = static_cast<std::int64_t>(nll.size());
  result.mean_nll = mean(nll);
  result.perplexity = std::exp(result.mean_nll);
  result.standard_error = result.perplexity * standard_error(nll);
  result.standard_error_blocks = result.perplexity * block_standard_error(nll);
  return result;
}

}  // namespace quant
