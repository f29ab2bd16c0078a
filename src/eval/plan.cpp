#include <fmt/format.h>

#include <algorithm>

#include "base/splitmix64.h"
#include "kv/cache.h"
#include "quant/error.h"
#include "quant/perplexity.h"

namespace quant {
namespace {

constexpr int kLlamaCppContext = 512;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kUsage, message); }

/// What all protocols share.
struct Text {
  std::span<const Token> tokens;
  std::vector<Token> prefix;  // BOS where it is on
  const std::string& name;    // what errors call it
  std::int64_t room(int context) const { return context - static_cast<int>(prefix.size()); }
  std::int64_t size() const { return static_cast<std::int64_t>(tokens.size()); }
  EvalWindow window(std::int64_t begin, std::int64_t n, std::int64_t first_scored) const {
    EvalWindow window{prefix, first_scored};
    const auto from = tokens.begin() + begin;
    window.tokens.insert(window.tokens.end(), from, from + n);
    return window;
  }
};

void plan_contexts(const Text& text, EvalPlan& plan) {
  const std::int64_t room = text.room(plan.context);
  for (std::int64_t begin = 0; begin < text.size(); begin += room) {
    const std::int64_t n = std::min(room, text.size() - begin);
    EvalWindow window = text.window(begin, n, 1);
    if (window.tokens.size() < 2) {
      plan.dropped_tokens += n;
    } else {
      plan.windows.push_back(std::move(window));
    }
  }
}

/// Whole chunks of tokens, BOS, where it is on, over the first of each.
void add_chunks(std::span<const Token> tokens, std::span<const Token> bos, EvalPlan& plan) {
  const std::size_t context = static_cast<std::size_t>(plan.context);
  for (std::size_t begin = 0; begin + context <= tokens.size(); begin += context) {
    const std::span<const Token> chunk = tokens.subspan(begin, context);
    EvalWindow window{{chunk.begin(), chunk.end()}, plan.context / 2 + 1};
    if (!bos.empty()) window.tokens[0] = bos[0];
    plan.windows.push_back(std::move(window));
  }
}

/// BOS, where it is on, also stands in front of the whole text.
void plan_llamacpp(const Text& text, EvalPlan& plan) {
  std::vector<Token> all = text.prefix;
  all.insert(all.end(), text.tokens.begin(), text.tokens.end());
  const std::size_t context = static_cast<std::size_t>(plan.context);
  if (all.size() < 2 * context) {
    refuse(
        fmt::format("the llamacpp protocol needs at least 2 x {} tokens and {} has {}; choose a "
                    "smaller -c or a longer text",
                    context, text.name, all.size()));
  }
  add_chunks(all, text.prefix, plan);
  // Also what lies under a BOS is in no window.
  plan.dropped_tokens =
      text.size() - static_cast<std::int64_t>(plan.windows.size()) * text.room(plan.context);
}

void plan_strided(const Text& text, int stride, EvalPlan& plan) {
  const std::int64_t room = text.room(plan.context);
  const std::int64_t prefix = static_cast<std::int64_t>(text.prefix.size());
  if (stride >= plan.context) {
    refuse(fmt::format("a stride of {} leaves a context of {} nothing to look back on", stride,
                       plan.context));
  }
  std::int64_t scored = 0;
  for (std::int64_t begin = 0;; begin += stride) {
    const std::int64_t n = std::min(room, text.size() - begin);
    const std::int64_t first = begin == 0 ? 1 : prefix + scored - begin;
    plan.windows.push_back(text.window(begin, n, first));
    scored = begin + n;
    if (scored == text.size()) break;
  }
}

int default_context(const Model& model, Protocol protocol, std::int64_t whole) {
  const int longest = model.config().context_length;
  if (protocol == Protocol::kLlamaCpp) return std::min(kLlamaCppContext, longest);
  return static_cast<int>(std::min<std::int64_t>(whole, longest));
}

void check_context(const Model& model, int context, bool allow_longer) {
  const int longest = model.config().context_length;
  if (context > longest && !allow_longer) {
    refuse(
        fmt::format("-c {} is above the model's context length of {}; say --allow-longer to "
                    "measure beyond it",
                    context, longest));
  }
}

/// Exact share of one side for the query at t, averaged over layers.
double share_at(const ModelConfig& config, const KvSide& side, std::int64_t t) {
  if (side.type == KvType::kFp32) return 1.0;
  double sum = 0.0;
  for (const LayerConfig& layer : config.layers) {
    const QueryView view = query_view(side, layer.sliding_window, t);
    const std::int64_t packed = view.packed.end - view.packed.begin;
    const std::int64_t all = view.window.end - view.sink.begin;
    sum += static_cast<double>(all - packed) / static_cast<double>(all);
  }
  return sum / static_cast<double>(config.layers.size());
}

}  // namespace

std::string_view protocol_name(Protocol protocol) noexcept {
  switch (protocol) {
    case Protocol::kLlamaCpp:
      return "llamacpp";
    case Protocol::kStrided:
      return "strided";
    default:
      return "context";
  }
}

Protocol parse_protocol(std::string_view name) {
  for (const Protocol p : {Protocol::kContext, Protocol::kLlamaCpp, Protocol::kStrided}) {
    if (name == protocol_name(p)) return p;
  }
  refuse(fmt::format("unknown protocol '{}'; known: context, llamacpp, strided", name));
}

std::vector<Token> EvalWindow::targets() const {
  std::vector<Token> targets(tokens.size() - 1, -1);
  std::copy(tokens.begin() + first_scored, tokens.end(), targets.begin() + (first_scored - 1));
  return targets;
}

std::int64_t EvalPlan::scored_tokens() const noexcept {
  std::int64_t n = 0;
  for (const EvalWindow& w : windows) n += w.scored_tokens();
  return n;
}

std::int64_t EvalPlan::run_tokens() const noexcept {
  std::int64_t n = 0;
  for (const EvalWindow& w : windows) n += static_cast<std::int64_t>(w.tokens.size()) - 1;
  return n;
}

EvalPlan plan_evaluation(const Model& model, std::span<const Token> tokens,
                         const PlanOptions& options) {
  const Tokenizer& tokenizer = model.tokenizer();
  const std::int64_t n_tokens = static_cast<std::int64_t>(tokens.size());
  const std::int64_t skipped = std::clamp<std::int64_t>(options.offset, 0, n_tokens);
  Text text{tokens.subspan(static_cast<std::size_t>(skipped)), {}, options.text_name};
  if (const std::optional<Token> bos = tokenizer.prefix()) text.prefix.push_back(*bos);
  const std::int64_t whole = text.size() + static_cast<std::int64_t>(text.prefix.size());
  if (text.tokens.empty() || whole < 2) {
    refuse(skipped > 0
               ? fmt::format("an offset of {} leaves less than 2 of the {} tokens of {}",
                             options.offset, n_tokens, text.name)
               : fmt::format("{} is too short: perplexity needs at least 2 tokens", text.name));
  }
  check_context(model, options.context, options.allow_longer);
  EvalPlan plan{.protocol = options.protocol,
                .context = options.context > 0 ? options.context
                                               : default_context(model, options.protocol, whole),
                .session_context = 0,
                .windows = {},
                .text_tokens = n_tokens,
                .dropped_tokens = 0,
                .stride = 0,
                .chunks = options.chunks,
                .offset = skipped};
  if (plan.context < 2 || text.room(plan.context) < 1) {
    refuse(fmt::format("a context of {} tokens scores nothing", plan.context));
  }
  plan.session_context = plan.context;
  switch (options.protocol) {
    case Protocol::kContext:
      plan_contexts(text, plan);
      break;
    case Protocol::kLlamaCpp:
      plan_llamacpp(text, plan);
      break;
    case Protocol::kStrided:
      plan.stride = options.stride > 0 ? options.stride : std::max(1, plan.context / 2);
      plan_strided(text, plan.stride, plan);
      break;
  }
  if (options.chunks > 0 && plan.windows.size() > static_cast<std::size_t>(options.chunks)) {
    plan.windows.resize(static_cast<std::size_t>(options.chunks));
    std::int64_t covered = 0;
    for (const EvalWindow& w : plan.windows) {
      const std::int64_t n = static_cast<std::int64_t>(w.tokens.size());
      covered += options.protocol == Protocol::kStrided && covered > 0
                     ? n - w.first_scored
                     : n - static_cast<std::int64_t>(text.prefix.size());
    }
    plan.dropped_tokens = text.size() - covered;
  }
  plan.dropped_tokens += skipped;
  if (plan.scored_tokens() == 0) {
    refuse(fmt::format("a context of {} tokens scores nothing", plan.context));
  }
  std::size_t context = 0;
  for (const EvalWindow& w : plan.windows) context = std::max(context, w.tokens.size());
  plan.context = static_cast<int>(context);
  return plan;
}

std::int64_t seed_offset(std::uint64_t seed, std::int64_t text_tokens, int context) {
  const std::int64_t half = text_tokens / 2;
  const std::int64_t range = context > 0 ? std::min<std::int64_t>(context, half) : half;
  if (seed == 0 || range < 1) return 0;
  return static_cast<std::int64_t>(SplitMix64(seed).below(static_cast<std::uint64_t>(range)));
}

EvalPlan plan_chunks(const Model& model, std::span<const Token> tokens, int context,
                     bool allow_longer) {
  check_context(model, context, allow_longer);
  EvalPlan plan{.protocol = Protocol::kLlamaCpp,
                .context = context,
                .session_context = context,
                .windows = {},
                .text_tokens = static_cast<std::int64_t>(tokens.size()),
                .dropped_tokens = 0,
                .stride = 0,
                .chunks = 0};
  const std::optional<Token> bos = model.tokenizer().prefix();
  add_chunks(tokens, bos.has_value() ? std::span(&*bos, 1) : std::span<const Token>(), plan);
  return plan;
}

Fp32Share fp32_share(const ModelConfig& config, const KvSide& side, const EvalPlan& plan) {
  // The token at i is predicted by the query at i - 1. Many windows score the same positions.
  std::vector<std::int64_t> scored(static_cast<std::size_t>(plan.context), 0);
  for (const EvalWindow& w : plan.windows) {
    for (std::size_t i = static_cast<std::size_t>(w.first_scored); i < w.tokens.size(); ++i) {
      ++scored[i - 1];
    }
  }
  Fp32Share share{0.0, 0.0};
  std::int64_t queries = 0;
  for (std::size_t t = 0; t < scored.size(); ++t) {
    if (scored[t] == 0) continue;
    share.end = share_at(config, side, static_cast<std::int64_t>(t));
    share.mean += static_cast<double>(scored[t]) * share.end;
    queries += scored[t];
  }
  if (queries > 0) share.mean /= static_cast<double>(queries);
  return share;
}

}  // namespace quant
