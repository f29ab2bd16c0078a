// Perplexity: exp of the mean natural-log loss over the scored tokens of a text.
// Protocols and statistics are specified in docs/evaluation.md.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/model.h"
#include "quant/session.h"

namespace quant {

enum class Protocol {
  kContext,   ///< consecutive contexts, every token but a context's first is scored
  kLlamaCpp,  ///< llama-perplexity's: chunks, the second half of each is scored
  kStrided,   ///< overlapping windows that score what is new (Hugging Face's recipe)
};

std::string_view protocol_name(Protocol protocol) noexcept;
/// Throws Error(kUsage) that lists the known names.
Protocol parse_protocol(std::string_view name);

struct PlanOptions {
  Protocol protocol = Protocol::kContext;
  int context = 0;            ///< tokens a window, BOS included; 0 = the protocol's default
  int stride = 0;             ///< kStrided: how far windows advance; 0 = half a context
  int chunks = 0;             ///< at most this many windows; 0 = all
  std::int64_t offset = 0;    ///< tokens at the text's beginning that are left out
  bool allow_longer = false;  ///< a context beyond what the model was trained for
  std::string text_name = "the text";  ///< what errors call it
};

/// One pass from an empty cache; tokens[first_scored…] are scored.
struct EvalWindow {
  std::vector<Token> tokens;
  std::int64_t first_scored;
  /// What is scored after each token but the last, [tokens - 1]: the next token, or -1.
  std::vector<Token> targets() const;
  std::int64_t scored_tokens() const noexcept {
    return static_cast<std::int64_t>(tokens.size()) - first_scored;
  }
};

struct EvalPlan {
  Protocol protocol;
  int context;          ///< tokens of the longest window
  int session_context;  ///< what was asked for, at least `context`
  std::vector<EvalWindow> windows;
  std::int64_t text_tokens;     ///< tokens of the text, BOS apart
  std::int64_t dropped_tokens;  ///< tokens of the text that are in no window
  int stride;                   ///< of the strided protocol, else 0
  int chunks;                   ///< most windows that were asked for; 0 = all
  std::int64_t offset = 0;      ///< tokens at the beginning that were left out on purpose
  std::int64_t scored_tokens() const noexcept;
  /// Tokens that go through the model; a window's last one need not.
  std::int64_t run_tokens() const noexcept;
};

/// Divides a tokenized text into windows. Throws Error(kUsage) for texts that are too short and
/// contexts that the model does not have.
EvalPlan plan_evaluation(const Model& model, std::span<const Token> text,
                         const PlanOptions& options);

/// Where the repetition `seed` of an evaluation begins: 0 at the text's first token, any other at a
/// token drawn from the first context, or from the first half of a shorter text. That moves every
/// cut between contexts. The context counts as in PlanOptions: 0 is the whole text.
std::int64_t seed_offset(std::uint64_t seed, std::int64_t text_tokens, int context);

/// The plan of Protocol::kLlamaCpp for tokens that are divided already: chunks of `context`, BOS
/// over the first token of each where the file asks for it. Throws Error(kUsage) for a context that
/// the model does not have.
EvalPlan plan_chunks(const Model& model, std::span<const Token> tokens, int context,
                     bool allow_longer = false);

/// Share of exact (FP32) positions among those a query sees, by the view rule, averaged over
/// layers.
struct Fp32Share {
  double end;   ///< the last scored query of the longest window
  double mean;  ///< over all scored queries
};
Fp32Share fp32_share(const ModelConfig& config, const KvSide& side, const EvalPlan& plan);

struct PerplexityResult {
  double perplexity;
  double mean_nll;               ///< nats a token
  double standard_error;         ///< of the perplexity, tokens taken as independent; NaN for one
  double standard_error_blocks;  ///< of the perplexity, bootstrap over blocks of up to 64 tokens of
                                 ///< one window; NaN for one block
  std::int64_t scored_tokens;
  std::vector<TokenLoss> losses;  ///< in the order of the windows
  std::vector<Token> targets;     ///< the scored tokens
  double seconds;                 ///< the forward passes alone
};

/// The statistics of losses that were measured in windows with `run_lengths` scored tokens.
PerplexityResult summarize(std::vector<TokenLoss> losses, std::vector<Token> targets,
                           std::span<const std::int64_t> run_lengths, double seconds);

/// done and total count tokens that went through the model.
using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Sees each scored token, in order: the logits that predict it [n_vocab], the token, its loss.
using LogitsVisitor =
    std::function<void(std::span<const float> logits, Token target, const TokenLoss& loss)>;

/// Runs the windows one after the other. Whole rows of logits exist only if there is a visitor, a
/// few at a time; losses are the same with and without. Throws what Session::append throws.
PerplexityResult measure_perplexity(Session& session, const EvalPlan& plan,
                                    const Progress& progress = {}, const LogitsVisitor& visit = {});

}  // namespace quant
