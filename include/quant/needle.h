// Long-context retrieval: a random key is hidden in real text, the prompt ends with a question for
// it, and the answer is scored under several KV formats. The protocol is in docs/evaluation.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/chat.h"
#include "quant/compare.h"
#include "quant/model.h"
#include "quant/perplexity.h"

namespace quant {

struct NeedleOptions {
  std::vector<int> lengths = {1024, 2048};  ///< tokens of prompt and answer, BOS included
  /// Percent of the haystack that stands before the needle.
  std::vector<double> depths = {0.0, 25.0, 50.0, 75.0, 100.0};
  int trials = 4;  ///< of each length and depth
  std::uint64_t seed = 0;
  bool allow_longer = false;       ///< lengths beyond what the model was trained for
  std::optional<ChatFormat> chat;  ///< the text is a user's message; nullopt = plain text
};

/// One trial.
struct NeedlePrompt {
  int length;  ///< tokens of the window
  double depth;
  int trial;
  std::string statement;  ///< stands before the key: "The secret code of the lighthouse is"
  std::string key;        ///< seven digits
  std::size_t begin;      ///< the haystack's first byte in the text
  std::size_t end;        ///< the byte after it, an end of a sentence
  std::size_t needle;     ///< byte before which the needle was put
  double placed;          ///< the depth there, percent of the haystack's tokens
  EvalWindow window;      ///< prompt and answer; the answer is scored
};

/// All trials: lengths, of each its depths, of each its trials, in the order of the options. A
/// trial depends on the text, the model's tokenizer, the seed and its own length, depth and number
/// alone. Throws Error(kUsage) for lengths and depths that cannot be, and for a text that is too
/// short.
std::vector<NeedlePrompt> needle_prompts(const Model& model, std::string_view text,
                                         const NeedleOptions& options);

/// Trials of one length as an evaluation.
EvalPlan needle_plan(std::span<const NeedlePrompt> prompts);

/// What became of one trial.
struct Retrieval {
  double log_probability;  ///< of the whole answer, nats
  bool exact;  ///< each of its tokens was the most likely one: greedy text is the answer
};
/// Of each window of a result.
std::vector<Retrieval> retrievals_of(const LockstepResult& result, int configuration);

struct RetrievalSummary {
  std::int64_t trials;
  std::int64_t exact;
  double log_probability;  ///< mean
};
RetrievalSummary summarize_retrievals(std::span<const Retrieval> retrievals) noexcept;

/// A configuration against the baseline, trial by trial.
struct RetrievalComparison {
  std::int64_t lost;          ///< exact under the baseline alone
  std::int64_t gained;        ///< exact under the configuration alone
  double mcnemar_p;           ///< McNemar's exact test
  double adjusted_mcnemar_p;  ///< Holm's, over the table
  /// Of the answers' losses, one trial a block: delta_nll is the loss of log-probability.
  PairedResult paired;
  double adjusted_p;  ///< Holm's, over the table
};
/// configurations: [configurations][trials], the baseline first.
std::vector<RetrievalComparison> compare_retrievals(
    std::span<const std::vector<Retrieval>> configurations);

}  // namespace quant
