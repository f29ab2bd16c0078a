#include "quant/session.h"

#include <fmt/format.h>

#include "engine/sequences.h"
#include "quant/error.h"

namespace quant {

std::string_view math_mode_name(MathMode mode) noexcept {
  return mode == MathMode::kExact ? "exact" : "fast";
}

MathMode parse_math_mode(std::string_view name) {
  if (name == "exact") return MathMode::kExact;
  if (name == "fast") return MathMode::kFast;
  throw Error(ErrorKind::kUsage, fmt::format("unknown math mode '{}'; known: exact, fast", name));
}

struct Session::State {
  State(std::shared_ptr<const Model> model, const SessionOptions& options)
      : sequences(std::move(model), options, {&options.kv, 1}) {}

  Sequences sequences;            // one
  std::vector<float> row_logits;  // [rows asked for][n_vocab]
};

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : state_(std::make_unique<State>(std::move(model), options)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::reset() noexcept { state_->sequences.reset(); }

struct Session::Mark::Contents {
  std::int64_t position;
  KvCache::Mark cache;
};

Session::Mark::Mark(std::unique_ptr<const Contents> contents) : contents_(std::move(contents)) {}
Session::Mark::~Mark() = default;
Session::Mark::Mark(Mark&&) noexcept = default;
Session::Mark& Session::Mark::operator=(Mark&&) noexcept = default;

Session::Mark Session::mark() const {
  state_->sequences.require_whole();
  return Mark(std::make_unique<const Mark::Contents>(
      Mark::Contents{position(), state_->sequences.cache(0).mark()}));
}

void Session::rewind(const Mark& mark) noexcept {
  state_->sequences.cache(0).rewind(mark.contents_->cache);
  state_->sequences.forget_from(mark.contents_->position);
}

std::int64_t Session::position() const noexcept { return state_->sequences.position(); }
const Model& Session::model() const noexcept { return state_->sequences.model(); }
const SessionOptions& Session::options() const noexcept { return state_->sequences.options(); }

void Session::append(std::span<const Token> tokens) {
  state_->sequences.run(tokens, {}, [](std::size_t, std::size_t) {});
}

void Session::append(std::span<const Token> tokens, std::span<const Token> targets,
                     std::span<TokenLoss> losses) {
  state_->sequences.run_losses(tokens, targets, losses, {});
}

std::vector<float> Session::append_with_logits(std::span<const Token> tokens) {
  const std::size_t n_vocab = static_cast<std::size_t>(model().config().n_vocab);
  std::vector<float> logits(tokens.size() * n_vocab);
  state_->sequences.run(tokens, {}, [&](std::size_t first, std::size_t n) {
    state_->sequences.logits(0, n, logits.data() + first * n_vocab);
  });
  return logits;
}

std::span<const float> Session::logits() {
  const std::size_t last_batch = state_->sequences.last_batch();
  if (last_batch == 0) {
    throw Error(ErrorKind::kUsage, "there are no logits before the first token");
  }
  return logits(last_batch - 1, 1);
}

std::span<const float> Session::logits(std::size_t first, std::size_t count) {
  const std::size_t last_batch = state_->sequences.last_batch();
  if (first > last_batch || count > last_batch - first) {
    throw Error(ErrorKind::kUsage, fmt::format("logits of tokens {} to {} of a batch of {}", first,
                                               first + count, last_batch));
  }
  const std::size_t n = count * static_cast<std::size_t>(model().config().n_vocab);
  std::vector<float>& rows = state_->row_logits;
  if (rows.size() < n) rows.resize(n);
  state_->sequences.logits(first, count, rows.data());
  return std::span(rows).first(n);
}

std::string_view Session::rope_factors() const noexcept { return state_->sequences.rope_factors(); }

CacheMemory Session::cache_memory() const noexcept { return state_->sequences.memory(0); }

}  // namespace quant
