#include "quant/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/parallel.h"
#include "engine/output_head.h"
#include "engine/transformer.h"
#include "kv/cache.h"
#include "quant/error.h"

namespace quant {
namespace {

/// The cache grows by half, and by no less than this, so that appending is linear in the end.
constexpr std::int64_t kSmallestStep = 256;

SessionOptions checked(const Model& model, SessionOptions options) {
  const auto require = [](bool holds, const std::string& message) {
    if (!holds) throw Error(ErrorKind::kUsage, message);
  };
  if (options.context == 0) options.context = model.config().context_length;
  require(options.context >= 1,
          fmt::format("a context of {} tokens is not possible", options.context));
  require(options.batch >= 1, fmt::format("a batch of {} tokens is not possible", options.batch));
  require(options.threads >= 1, fmt::format("{} threads are not possible", options.threads));
  for (const KvSide& side : {options.kv.key, options.kv.value}) {
    require(side.window >= 0, fmt::format("a window of {} tokens is not possible", side.window));
    require(side.sink >= 0, fmt::format("a sink of {} tokens is not possible", side.sink));
  }
  require(std::ranges::find(available_isas(), options.isa) != available_isas().end(),
          fmt::format("this machine cannot run {}", isa_name(options.isa)));
  require_head_dim(options.kv.key.type, model.config().key_dim);
  require_head_dim(options.kv.value.type, model.config().value_dim);
  options.batch = std::min(options.batch, options.context);
  return options;
}

}  // namespace

std::string_view math_mode_name(MathMode mode) noexcept {
  return mode == MathMode::kExact ? "exact" : "fast";
}

MathMode parse_math_mode(std::string_view name) {
  if (name == "exact") return MathMode::kExact;
  if (name == "fast") return MathMode::kFast;
  throw Error(ErrorKind::kUsage, fmt::format("unknown math mode '{}'; known: exact, fast", name));
}

struct Session::State {
  State(std::shared_ptr<const Model> the_model, const SessionOptions& the_options)
      : model(std::move(the_model)),
        options(checked(*model, the_options)),
        cache(model->config(), options.kv, options.batch),
        transformer(*model, options),
        head(*model, options) {
    reserve(std::min(options.reserve, options.context));
  }

  void reserve(std::int64_t wanted) {
    if (wanted <= reserved) return;
    cache.reserve(wanted);
    transformer.reserve(wanted);
    reserved = wanted;
  }

  void check(std::span<const Token> tokens) const {
    if (refused) {
      throw Error(ErrorKind::kUsage,
                  "a row was refused in the middle of a batch: reset or rewind the session first");
    }
    const std::int64_t end = position + static_cast<std::int64_t>(tokens.size());
    if (end > options.context) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} tokens do not fit a context of {}; raise it with -c", end,
                              options.context));
    }
    for (const Token token : tokens) {
      if (token < 0 || token >= model->config().n_vocab) {
        throw Error(ErrorKind::kUsage, fmt::format("token {} is not in the vocabulary", token));
      }
    }
  }

  /// Runs tokens batch by batch; visit(first, hidden, n) sees the hidden states of each.
  template <class Visit>
  void run(std::span<const Token> tokens, const Visit& visit) {
    check(tokens);
    with_crew(options.threads, [&] { run_batches(tokens, visit); });
  }

  template <class Visit>
  void run_batches(std::span<const Token> tokens, const Visit& visit) {
    const std::int64_t end = position + static_cast<std::int64_t>(tokens.size());
    if (end > reserved) {
      reserve(std::min<std::int64_t>(
          options.context, std::max(end, reserved + std::max(kSmallestStep, reserved / 2))));
    }
    for (std::size_t first = 0; first < tokens.size();) {
      const std::size_t n =
          std::min(tokens.size() - first, static_cast<std::size_t>(options.batch));
      // Layers before one that refuses a row have taken the batch in already.
      refused = true;
      hidden = transformer.forward(tokens.subspan(first, n), position, cache);
      refused = false;
      position += static_cast<std::int64_t>(n);
      visit(first, hidden.data(), n);
      first += n;
    }
  }

  std::shared_ptr<const Model> model;
  SessionOptions options;
  KvCache cache;
  Transformer transformer;
  OutputHead head;
  std::int64_t position = 0;
  std::int64_t reserved = 0;
  bool refused = false;
  std::span<const float> hidden;  // [last batch][n_embd]
  std::vector<float> row_logits;  // [rows asked for][n_vocab]
};

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : state_(std::make_unique<State>(std::move(model), options)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::reset() noexcept {
  state_->position = 0;
  state_->refused = false;
  state_->hidden = {};
}

struct Session::Mark::Contents {
  std::int64_t position;
  KvCache::Mark cache;
};

Session::Mark::Mark(std::unique_ptr<const Contents> contents) : contents_(std::move(contents)) {}
Session::Mark::~Mark() = default;
Session::Mark::Mark(Mark&&) noexcept = default;
Session::Mark& Session::Mark::operator=(Mark&&) noexcept = default;

Session::Mark Session::mark() const {
  return Mark(std::make_unique<const Mark::Contents>(
      Mark::Contents{state_->position, state_->cache.mark()}));
}

void Session::rewind(const Mark& mark) noexcept {
  state_->cache.rewind(mark.contents_->cache);
  state_->position = mark.contents_->position;
  state_->refused = false;
  state_->hidden = {};
}

std::int64_t Session::position() const noexcept { return state_->position; }
const Model& Session::model() const noexcept { return *state_->model; }
const SessionOptions& Session::options() const noexcept { return state_->options; }

void Session::append(std::span<const Token> tokens) {
  state_->run(tokens, [](std::size_t, const float*, std::size_t) {});
}

void Session::append(std::span<const Token> tokens, std::span<const Token> targets,
                     std::span<TokenLoss> losses) {
  const Token n_vocab = state_->model->config().n_vocab;
  if (targets.size() != tokens.size() || losses.size() != tokens.size() ||
      std::ranges::any_of(targets, [=](Token t) { return t >= n_vocab; })) {
    throw Error(ErrorKind::kUsage,
                "every token needs a target of the vocabulary, or none, and a loss");
  }
  state_->run(tokens, [&](std::size_t first, const float* hidden, std::size_t n) {
    state_->head.losses(state_->transformer.linear(), hidden, targets.subspan(first, n),
                        losses.subspan(first, n));
  });
}

std::vector<float> Session::append_with_logits(std::span<const Token> tokens) {
  const std::size_t n_vocab = static_cast<std::size_t>(state_->model->config().n_vocab);
  std::vector<float> logits(tokens.size() * n_vocab);
  state_->run(tokens, [&](std::size_t first, const float* hidden, std::size_t n) {
    state_->head.logits(state_->transformer.linear(), hidden, static_cast<int>(n),
                        logits.data() + first * n_vocab);
  });
  return logits;
}

std::span<const float> Session::logits() {
  const std::size_t n_embd = static_cast<std::size_t>(state_->model->config().n_embd);
  const std::size_t n_tokens = state_->hidden.size() / n_embd;
  if (n_tokens == 0) {
    throw Error(ErrorKind::kUsage, "there are no logits before the first token");
  }
  return logits(n_tokens - 1, 1);
}

std::span<const float> Session::logits(std::size_t first, std::size_t count) {
  State& state = *state_;
  const std::size_t n_embd = static_cast<std::size_t>(state.model->config().n_embd);
  const std::size_t n_vocab = static_cast<std::size_t>(state.model->config().n_vocab);
  const std::size_t n_tokens = state.hidden.size() / n_embd;
  if (first > n_tokens || count > n_tokens - first) {
    throw Error(ErrorKind::kUsage, fmt::format("logits of tokens {} to {} of a batch of {}", first,
                                               first + count, n_tokens));
  }
  if (state.row_logits.size() < count * n_vocab) state.row_logits.resize(count * n_vocab);
  with_crew(state.options.threads, [&] {
    state.head.logits(state.transformer.linear(), state.hidden.data() + first * n_embd,
                      static_cast<int>(count), state.row_logits.data());
  });
  return std::span(state.row_logits).first(count * n_vocab);
}

std::string_view Session::rope_factors() const noexcept {
  for (const RopeConfig& rope : state_->model->config().ropes) {
    if (rope.scaling != RopeScaling::kLongRope) continue;
    return uses_long_factors(rope, state_->options.context) ? "long" : "short";
  }
  return "";
}

CacheMemory Session::cache_memory() const noexcept {
  const ModelConfig& config = state_->model->config();
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
  std::int64_t rows = 0;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    key_bytes += state_->cache.keys(layer).packed_bytes();
    value_bytes += state_->cache.values(layer).packed_bytes();
    rows += state_->cache.keys(layer).capacity() * config.n_kv_heads;
  }
  const auto bits = [rows](std::size_t bytes, int dim) {
    return rows > 0 ? 8.0 * static_cast<double>(bytes) / static_cast<double>(rows * dim) : 0.0;
  };
  return {.allocated = state_->cache.allocated_bytes(),
          .formula = KvCache::formula_bytes(config, state_->options.kv, state_->options.batch,
                                            state_->reserved),
          .key_bits = bits(key_bytes, config.key_dim),
          .value_bits = bits(value_bytes, config.value_dim),
          .positions = state_->reserved};
}

}  // namespace quant
