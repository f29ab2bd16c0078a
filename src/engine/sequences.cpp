#include "engine/sequences.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "quant/error.h"

namespace quant {
namespace {

/// The cache grows by half, and by no less than this, so that appending is linear in the end.
constexpr std::int64_t kSmallestStep = 256;

void require(bool holds, std::string_view message) {
  if (!holds) throw Error(ErrorKind::kUsage, std::string(message));
}

void check_spec(const ModelConfig& config, const KvSpec& spec) {
  for (const KvSide& side : {spec.key, spec.value}) {
    require(side.window >= 0, fmt::format("a window of {} tokens is not possible", side.window));
    require(side.sink >= 0, fmt::format("a sink of {} tokens is not possible", side.sink));
  }
  require_head_dim(spec.key.type, config.key_dim);
  require_head_dim(spec.value.type, config.value_dim);
}

SessionOptions checked(const Model& model, SessionOptions options, std::span<const KvSpec> specs) {
  if (options.context == 0) options.context = model.config().context_length;
  require(options.context >= 1,
          fmt::format("a context of {} tokens is not possible", options.context));
  require(options.batch >= 1, fmt::format("a batch of {} tokens is not possible", options.batch));
  require(options.threads >= 1, fmt::format("{} threads are not possible", options.threads));
  require(!specs.empty(), "no KV format given");
  for (const KvSpec& spec : specs) check_spec(model.config(), spec);
  require(std::ranges::find(available_isas(), options.isa) != available_isas().end(),
          fmt::format("this machine cannot run {}", isa_name(options.isa)));
  options.batch = std::min(options.batch, options.context);
  require(options.batch <= std::numeric_limits<int>::max() / static_cast<int>(specs.size()),
          fmt::format("a batch of {} tokens in {} sequences is not possible", options.batch,
                      specs.size()));
  require(model.weights().output.panels != nullptr,
          "the model was loaded without packing its weights");
  return options;
}

}  // namespace

Sequences::Sequences(std::shared_ptr<const Model> model, const SessionOptions& options,
                     std::span<const KvSpec> specs)
    : model_(std::move(model)),
      options_(checked(*model_, options, specs)),
      specs_(specs.begin(), specs.end()),
      transformer_(*model_, options_, static_cast<int>(specs.size())),
      head_(*model_, options_, static_cast<int>(specs.size()),
            transformer_.linear().input_group(model_->weights().output)) {
  for (const KvSpec& spec : specs) caches_.emplace_back(model_->config(), spec, options_.batch);
  reserve(std::min(options_.reserve, options_.context));
}

void Sequences::forget_from(std::int64_t position) noexcept {
  position_ = position;
  refused_ = false;
  hidden_ = {};
  last_batch_ = 0;
}

void Sequences::reserve(std::int64_t wanted) {
  if (wanted <= reserved_) return;
  for (KvCache& cache : caches_) cache.reserve(wanted);
  transformer_.reserve(wanted);
  reserved_ = wanted;
}

void Sequences::require_whole() const {
  require(!refused_,
          "a row was refused in the middle of a batch: reset or rewind the session first");
}

void Sequences::prepare(std::span<const Token> tokens) {
  require_whole();
  const std::int64_t end = position_ + static_cast<std::int64_t>(tokens.size());
  if (end > options_.context) {
    throw Error(ErrorKind::kUsage, fmt::format("{} tokens do not fit a context of {}; raise it "
                                               "with -c",
                                               end, options_.context));
  }
  for (const Token token : tokens) {
    if (token < 0 || token >= model_->config().n_vocab) {
      throw Error(ErrorKind::kUsage, fmt::format("token {} is not in the vocabulary", token));
    }
  }
  if (end > reserved_) {
    reserve(std::min<std::int64_t>(
        options_.context, std::max(end, reserved_ + std::max(kSmallestStep, reserved_ / 2))));
  }
}

void Sequences::run_batch(std::span<const Token> tokens, std::span<const Token> targets) {
  // Layers before one that refuses a row have taken the batch in already.
  refused_ = true;
  hidden_ = {};
  last_batch_ = 0;
  hidden_ = transformer_.forward(tokens, position_, caches_, targets);
  refused_ = false;
  last_batch_ = tokens.size();
  position_ += static_cast<std::int64_t>(tokens.size());
}

void Sequences::run_losses(std::span<const Token> tokens, std::span<const Token> targets,
                           std::span<TokenLoss> losses, std::span<double> divergences) {
  const std::size_t rows = tokens.size() * specs_.size();
  const Token n_vocab = model_->config().n_vocab;
  require(targets.size() == tokens.size() && losses.size() == rows &&
              (specs_.size() == 1 || divergences.size() == rows) &&
              std::ranges::none_of(targets, [=](Token t) { return t >= n_vocab; }),
          "every token needs a target of the vocabulary, or none, and a loss");
  run(tokens, targets, [&](std::size_t first, std::size_t n) {
    head_.losses(transformer_.linear(), hidden_.data(), targets.subspan(first, n),
                 {losses.subspan(first), divergences.subspan(divergences.empty() ? 0 : first),
                  tokens.size()});
  });
}

void Sequences::logits(std::size_t first, std::size_t n, float* logits) {
  const std::size_t n_embd = static_cast<std::size_t>(model_->config().n_embd);
  with_crew(options_.threads, [&] {
    head_.logits(transformer_.linear(), hidden_.data() + first * n_embd, static_cast<int>(n),
                 logits);
  });
}

std::string_view Sequences::rope_factors() const noexcept {
  for (const RopeConfig& rope : model_->config().ropes) {
    if (rope.scaling != RopeScaling::kLongRope) continue;
    return uses_long_factors(rope, options_.context) ? "long" : "short";
  }
  return "";
}

CacheMemory Sequences::memory(int sequence) const noexcept {
  const ModelConfig& config = model_->config();
  const std::size_t s = static_cast<std::size_t>(sequence);
  const KvCache& cache = caches_[s];
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
  std::int64_t rows = 0;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    key_bytes += cache.keys(layer).packed_bytes();
    value_bytes += cache.values(layer).packed_bytes();
    rows += cache.keys(layer).capacity() * config.n_kv_heads;
  }
  const auto bits = [rows](std::size_t bytes, int dim) {
    return rows > 0 ? 8.0 * static_cast<double>(bytes) / static_cast<double>(rows * dim) : 0.0;
  };
  return {.allocated = cache.allocated_bytes(),
          .formula = KvCache::formula_bytes(config, specs_[s], options_.batch, reserved_),
          .key_bits = bits(key_bytes, config.key_dim),
          .value_bits = bits(value_bytes, config.value_dim),
          .positions = reserved_};
}

}  // namespace quant
