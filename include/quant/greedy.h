// Greedy text under a KV format beside greedy text under an FP32 cache.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "quant/session.h"

namespace quant {

/// A text whose end repeats itself: tokens[i] == tokens[i - period] from start + period to the end.
struct Loop {
  std::int64_t start;
  std::int64_t period;
};
/// The loop of the smallest period that runs at least three times and over at least 16 tokens.
std::optional<Loop> find_loop(std::span<const Token> tokens);

/// The most likely token after the prompt and so on, n tokens at most; one that ends the generation
/// is the last. Starts from an empty cache.
std::vector<Token> greedy_text(Session& session, std::span<const Token> prompt, int n);

struct GreedyComparison {
  std::vector<Token> baseline;
  std::vector<Token> tokens;
  /// Index of the first token that differs; none if the texts are the same.
  std::optional<std::int64_t> first_difference;
  std::optional<Loop> baseline_loop;
  std::optional<Loop> loop;

  /// Tokens before the first that differs.
  std::int64_t agreed_tokens() const noexcept;
};
/// Both sessions run the same model. Throws what Session::append throws.
GreedyComparison compare_greedy(Session& baseline, Session& session, std::span<const Token> prompt,
                                int n);

struct GreedySummary {
  std::int64_t prompts;
  std::int64_t identical;     ///< texts without a difference
  double agreed_tokens_mean;  ///< identical texts count with their whole length
  double agreed_tokens_median;
  std::int64_t baseline_loops;  ///< texts that end in a loop
  std::int64_t loops;
};
/// At least one comparison.
GreedySummary summarize_greedy(std::span<const GreedyComparison> comparisons);

}  // namespace quant
