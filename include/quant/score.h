// Log-likelihoods of continuations, as lm-evaluation-harness asks for them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/session.h"
#include "quant/tokenizer.h"

namespace quant {

/// Tokens of the beginning of a text: BOS in front where the file asks for it, unless the text
/// brings it along. parse_special as in Tokenizer::encode.
std::vector<Token> encode_context(const Tokenizer& tokenizer, std::string_view text,
                                  bool parse_special = false);
/// The same of pieces that make one text.
std::vector<Token> encode_context(const Tokenizer& tokenizer, std::span<const TextPiece> pieces);

/// What is scored: every token of the continuation, given all tokens before it. Neither is empty.
struct ScoreJob {
  std::vector<Token> context;
  std::vector<Token> continuation;
};

/// Tokens of a pair of texts, divided as lm-evaluation-harness 0.4 does: white space at the end of
/// the context belongs to the continuation, and the continuation's tokens are those of both texts
/// together after as many as the context alone has. BOS is in front where the file asks for it; an
/// empty context becomes BOS, or EOS if there is none. parse_special as in Tokenizer::encode.
/// Throws Error(kUsage) if nothing is left for the continuation.
ScoreJob encode_job(const Tokenizer& tokenizer, std::string_view context,
                    std::string_view continuation, bool parse_special = false);

/// A whole text as jobs of at most `room` positions that score each of its tokens once, the first
/// one after what stands for an empty context. All jobs but the last have one token of context; the
/// last has as much as there is room for (lm-evaluation-harness's rolling log-likelihood). Throws
/// Error(kUsage) for a text without tokens.
std::vector<ScoreJob> rolling_jobs(const Tokenizer& tokenizer, std::string_view text,
                                   std::int64_t room, bool parse_special = false);

/// Drops the first tokens of the context until a session of `room` positions can score the job; its
/// last token needs none. Returns how many. Throws Error(kUsage) if the continuation alone does not
/// fit.
std::int64_t truncate_context(ScoreJob& job, std::int64_t room);

struct Score {
  double log_likelihood;  ///< nats, the sum over the continuation
  std::vector<double> token_log_likelihoods;
  bool greedy;                 ///< each token was the most likely one
  std::int64_t reused_tokens;  ///< tokens of the context that earlier jobs had left in the cache
};

/// Scores jobs one after the other and keeps what a job shares with the one before: its tokens are
/// not run again from the last place that both have in common and that was marked (the end of a
/// context, and where two jobs went apart). Results do not depend on the order of the jobs.
class Scorer {
 public:
  /// The session is the scorer's alone while it lives.
  explicit Scorer(Session& session);
  /// Throws Error(kUsage) for jobs without a context or continuation, and what Session::append
  /// throws; the next job then starts from an empty cache.
  Score score(const ScoreJob& job);

 private:
  void go_back_to(std::size_t position);
  void run_to(std::span<const Token> tokens, std::size_t position);
  void start_over() noexcept;

  Session& session_;
  std::vector<Token> held_;           // in the cache
  std::vector<Session::Mark> marks_;  // on the way to held_, ascending
  std::vector<std::size_t> places_;   // positions of marks_
};

/// Multiple choice: which ending is the most likely one, and whether that is the right one.
struct Choice {
  int likeliest;       ///< by log-likelihood, the first of equals
  int likeliest_norm;  ///< by log-likelihood per character of the ending
};
/// The endings' log-likelihoods and texts, of which none is empty.
Choice choose(std::span<const double> log_likelihoods, std::span<const std::string> endings);

/// A share of right answers with its standard error sqrt(p(1 - p) / (n - 1)).
struct Accuracy {
  double value;
  double standard_error;
};
/// right: 1 for a right answer, 0 for a wrong one.
Accuracy accuracy_of(std::span<const double> right);

}  // namespace quant
