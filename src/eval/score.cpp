#include "quant/score.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/statistics.h"
#include "quant/error.h"
#include "text/utf8.h"

namespace quant {
namespace {

/// Places closer to the last one are not worth a mark's copy.
constexpr std::size_t kWorthAMark = 16;
/// A mark costs memory in proportion to windows, so that a chain of growing contexts keeps few.
constexpr std::size_t kMostMarks = 4;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kUsage, message); }

/// Stands for an empty context.
Token prefix_token(const Tokenizer& tokenizer) {
  if (tokenizer.bos().has_value()) return *tokenizer.bos();
  if (tokenizer.eos().has_value()) return *tokenizer.eos();
  refuse("the context is empty and the model has neither BOS nor EOS to stand for it");
}

/// White space as Python's str.rstrip() has it.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

std::size_t length_without_trailing_space(std::string_view text) {
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    at += c.size;
    if (!c.valid || !is_space(c.code_point)) end = at;
  }
  return end;
}

std::size_t count_characters(std::string_view text) {
  std::size_t n = 0;
  for (std::size_t at = 0; at < text.size(); ++n) at += decode_utf8(text, at).size;
  return n;
}

std::size_t common_prefix(std::span<const Token> a, std::span<const Token> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

int index_of_largest(std::span<const double> values) {
  return static_cast<int>(std::ranges::max_element(values) - values.begin());
}

}  // namespace

std::vector<Token> encode_context(const Tokenizer& tokenizer, std::string_view text,
                                  bool parse_special) {
  const TextPiece piece{std::string(text), parse_special};
  return encode_context(tokenizer, {&piece, 1});
}

std::vector<Token> encode_context(const Tokenizer& tokenizer, std::span<const TextPiece> pieces) {
  std::vector<Token> tokens = tokenizer.encode(pieces);
  const std::optional<Token> bos = tokenizer.prefix();
  if (bos.has_value() && (tokens.empty() || tokens.front() != *bos)) {
    tokens.insert(tokens.begin(), *bos);
  }
  return tokens;
}

ScoreJob encode_job(const Tokenizer& tokenizer, std::string_view context,
                    std::string_view continuation, bool parse_special) {
  const std::size_t stripped = length_without_trailing_space(context);
  const std::string moved = std::string(context.substr(stripped)) + std::string(continuation);
  context = context.substr(0, stripped);
  ScoreJob job;
  if (context.empty()) {
    job.continuation = tokenizer.encode(moved, parse_special);
    job.context = {prefix_token(tokenizer)};
    if (!job.continuation.empty() && job.continuation.front() == job.context.front()) {
      job.continuation.erase(job.continuation.begin());
    }
  } else {
    job.context = encode_context(tokenizer, context, parse_special);
    const std::vector<Token> whole =
        encode_context(tokenizer, std::string(context) + moved, parse_special);
    const std::size_t split = std::min(job.context.size(), whole.size());
    job.continuation.assign(whole.begin() + static_cast<std::ptrdiff_t>(split), whole.end());
  }
  if (job.continuation.empty()) refuse("the continuation has no tokens of its own");
  return job;
}

std::vector<ScoreJob> rolling_jobs(const Tokenizer& tokenizer, std::string_view text,
                                   std::int64_t room, bool parse_special) {
  std::vector<Token> tokens = tokenizer.encode(text, parse_special);
  if (tokens.empty()) refuse("the text has no tokens");
  const std::int64_t n = static_cast<std::int64_t>(tokens.size());
  tokens.insert(tokens.begin(), prefix_token(tokenizer));
  // tokens[i + 1] is the text's token i, predicted from tokens[0…i].
  std::vector<ScoreJob> jobs;
  for (std::int64_t begin = 0; begin < n; begin += room) {
    const std::int64_t end = std::min(n, begin + room);
    const auto at = [&](std::int64_t i) { return tokens.begin() + i; };
    jobs.push_back(
        {{at(std::max<std::int64_t>(0, end - room)), at(begin + 1)}, {at(begin + 1), at(end + 1)}});
  }
  return jobs;
}

std::int64_t truncate_context(ScoreJob& job, std::int64_t room) {
  const std::int64_t continuation = static_cast<std::int64_t>(job.continuation.size());
  const std::int64_t context = static_cast<std::int64_t>(job.context.size());
  if (continuation > room) {
    refuse(fmt::format("a continuation of {} tokens does not fit a context of {}; raise it with -c",
                       continuation, room));
  }
  const std::int64_t dropped = std::max<std::int64_t>(0, context + continuation - 1 - room);
  job.context.erase(job.context.begin(), job.context.begin() + dropped);
  return dropped;
}

Scorer::Scorer(Session& session) : session_(session) { start_over(); }

void Scorer::start_over() noexcept {
  session_.reset();
  held_.clear();
  marks_.clear();
  places_.clear();
}

/// To the last mark that is not beyond the position.
void Scorer::go_back_to(std::size_t position) {
  while (!places_.empty() && places_.back() > position) {
    places_.pop_back();
    marks_.pop_back();
  }
  if (places_.empty()) return start_over();
  session_.rewind(marks_.back());
  held_.resize(places_.back());
}

/// Runs tokens up to the position and marks it, if that is worth it.
void Scorer::run_to(std::span<const Token> tokens, std::size_t position) {
  const std::span<const Token> missing = tokens.subspan(held_.size(), position - held_.size());
  const std::size_t last = places_.empty() ? 0 : places_.back();
  session_.append(missing);
  held_.insert(held_.end(), missing.begin(), missing.end());
  if (position - last < kWorthAMark) return;
  if (marks_.size() == kMostMarks) {
    marks_.pop_back();
    places_.pop_back();
  }
  marks_.push_back(session_.mark());
  places_.push_back(position);
}

Score Scorer::score(const ScoreJob& job) {
  if (job.context.empty()) refuse("the context has no tokens");
  if (job.continuation.empty()) refuse("the continuation has no tokens");
  for (const Token token : job.continuation) {
    if (token < 0 || token >= session_.model().config().n_vocab) {
      refuse(fmt::format("token {} is not in the vocabulary", token));
    }
  }
  // The last token of the continuation predicts nothing; the last of the context runs with it.
  std::vector<Token> tokens = job.context;
  tokens.insert(tokens.end(), job.continuation.begin(), job.continuation.end() - 1);
  if (tokens.size() > static_cast<std::size_t>(session_.options().context)) {
    refuse(fmt::format("{} tokens do not fit a context of {}; raise it with -c or say --truncate",
                       tokens.size(), session_.options().context));
  }
  const std::size_t boundary = job.context.size() - 1;
  const std::size_t common = std::min(common_prefix(held_, tokens), boundary);
  std::vector<TokenLoss> losses(job.continuation.size());
  Score score{
      .log_likelihood = 0.0, .token_log_likelihoods = {}, .greedy = true, .reused_tokens = 0};
  try {
    go_back_to(common);
    score.reused_tokens = static_cast<std::int64_t>(held_.size());
    if (common - held_.size() >= kWorthAMark) run_to(tokens, common);
    run_to(tokens, boundary);
    const std::span<const Token> scored = std::span(tokens).subspan(boundary);
    session_.append(scored, job.continuation, losses);
    held_ = std::move(tokens);
  } catch (...) {
    start_over();
    throw;
  }
  for (std::size_t i = 0; i < losses.size(); ++i) {
    score.token_log_likelihoods.push_back(-losses[i].nll);
    score.log_likelihood -= losses[i].nll;
    score.greedy = score.greedy && losses[i].argmax == job.continuation[i];
  }
  return score;
}

Choice choose(std::span<const double> log_likelihoods, std::span<const std::string> endings) {
  std::vector<double> normalized(log_likelihoods.begin(), log_likelihoods.end());
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    normalized[i] /= static_cast<double>(count_characters(endings[i]));
  }
  return {index_of_largest(log_likelihoods), index_of_largest(normalized)};
}

Accuracy accuracy_of(std::span<const double> right) { return {mean(right), standard_error(right)}; }

}  // namespace quant
