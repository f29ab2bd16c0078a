#include "quant/attention_mass.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "base/to_size.h"

namespace quant {
namespace {

constexpr std::int64_t kStepsAnOctave = 32;
/// First keys whose mass is known even if fewer count as the first.
constexpr int kKeysShown = 4;

std::vector<DistanceBin> fine_bins(std::int64_t context, std::span<const std::int64_t> windows) {
  std::set<std::int64_t> edges{0};
  for (std::int64_t step = 1, edge = 1; edge < context; edge += step) {
    if (edge >= 2 * kStepsAnOctave * step) step *= 2;
    edges.insert(edge);
  }
  for (const std::int64_t window : windows) {
    if (window > 0 && window < context) edges.insert(window);
  }
  edges.insert(context);
  std::vector<DistanceBin> bins;
  for (auto edge = edges.begin(); std::next(edge) != edges.end(); ++edge) {
    bins.push_back({*edge, *std::next(edge)});
  }
  return bins;
}

}  // namespace

struct AttentionMass::State {
  AttentionMassOptions options;
  std::vector<DistanceBin> bins;
  std::size_t n_heads;
  std::size_t n_keys;              // first keys whose mass is known one by one
  std::int64_t counted_from;       // in the running window
  std::vector<double> behind;      // [layers][heads][bins]
  std::vector<double> first;       // [layers][heads][bins]
  std::vector<double> keys;        // [layers][heads][n_keys]
  std::vector<double> pairs;       // [layers][bins], of one head
  std::vector<std::int64_t> rows;  // [layers], of one head

  std::size_t at(int layer, int head) const noexcept {
    return to_size(layer) * n_heads + to_size(head);
  }
};

AttentionMass::AttentionMass(const ModelConfig& config, std::int64_t context,
                             const AttentionMassOptions& options)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.options = options;
  s.bins = fine_bins(context, options.windows);
  s.n_heads = to_size(config.n_heads);
  s.n_keys = to_size(std::max(kKeysShown, options.first));
  s.counted_from = options.from;
  const std::size_t n_layers = config.layers.size();
  s.behind.resize(n_layers * s.n_heads * s.bins.size());
  s.first.resize(s.behind.size());
  s.keys.resize(n_layers * s.n_heads * s.n_keys);
  s.pairs.resize(n_layers * s.bins.size());
  s.rows.resize(n_layers);
}

AttentionMass::~AttentionMass() = default;

void AttentionMass::begin_window(std::int64_t position) noexcept {
  state_->counted_from = std::max(state_->options.from, position);
}

std::int64_t AttentionMass::queries() const noexcept { return state_->rows.front(); }

const AttentionMassOptions& AttentionMass::options() const noexcept { return state_->options; }

void AttentionMass::observe(const AttentionRow& row) noexcept {
  State& s = *state_;
  if (row.position < s.counted_from) return;
  const std::int64_t seen = static_cast<std::int64_t>(row.weights.size());
  const std::int64_t begin = row.position + 1 - seen;  // the first key that is seen
  const std::int64_t end_of_first = std::clamp<std::int64_t>(s.options.first - begin, 0, seen);
  const std::size_t head = s.at(row.layer, row.head);
  double* behind = s.behind.data() + head * s.bins.size();
  double* first = s.first.data() + head * s.bins.size();
  double* pairs = s.pairs.data() + to_size(row.layer) * s.bins.size();
  for (std::size_t b = 0; b < s.bins.size() && s.bins[b].begin < seen; ++b) {
    // Keys of the bin as indices of the row, [from, to).
    const std::int64_t from = std::max<std::int64_t>(0, seen - s.bins[b].end);
    const std::int64_t to = seen - s.bins[b].begin;
    for (std::int64_t i = from; i < std::min(to, end_of_first); ++i) {
      first[b] += row.weights[to_size(i)];
    }
    const std::int64_t rest = std::max(from, end_of_first);
    double sum = 0.0;
    for (std::int64_t i = rest; i < to; ++i) sum += row.weights[to_size(i)];
    behind[b] += sum;
    if (row.head == 0) pairs[b] += static_cast<double>(std::max<std::int64_t>(0, to - rest));
  }
  double* keys = s.keys.data() + head * s.n_keys;
  const std::int64_t n_keys = static_cast<std::int64_t>(s.n_keys);
  for (std::int64_t key = begin; key < std::min(n_keys, begin + seen); ++key) {
    keys[key] += row.weights[to_size(key - begin)];
  }
  if (row.head == 0) ++s.rows[to_size(row.layer)];
}

MassProfile AttentionMass::head(int layer, int head) const {
  const State& s = *state_;
  const auto slice = [](const std::vector<double>& all, std::size_t index, std::size_t n) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(index * n);
    return std::vector<double>(from, from + static_cast<std::ptrdiff_t>(n));
  };
  const std::size_t n = s.bins.size();
  return {.bins = s.bins,
          .behind = slice(s.behind, s.at(layer, head), n),
          .first = slice(s.first, s.at(layer, head), n),
          .pairs = slice(s.pairs, to_size(layer), n),
          .keys = slice(s.keys, s.at(layer, head), s.n_keys),
          .rows = static_cast<double>(s.rows[to_size(layer)])};
}

MassProfile AttentionMass::layer(int layer) const {
  MassProfile all = head(layer, 0);
  for (std::size_t h = 1; h < state_->n_heads; ++h) all.add(head(layer, static_cast<int>(h)));
  return all;
}

void measure_attention(std::shared_ptr<const Model> model, SessionOptions options,
                       const EvalPlan& plan, AttentionMass& mass, const Progress& progress) {
  options.observer = &mass;
  Session session(std::move(model), options);
  const std::size_t step = to_size(session.options().batch);
  const std::int64_t total = plan.run_tokens();
  std::int64_t done = 0;
  for (const EvalWindow& window : plan.windows) {
    session.reset();
    mass.begin_window(window.first_scored - 1);
    const std::span<const Token> queries = std::span(window.tokens).first(window.tokens.size() - 1);
    for (std::size_t begin = 0; begin < queries.size(); begin += step) {
      const std::size_t count = std::min(step, queries.size() - begin);
      session.append(queries.subspan(begin, count));
      done += static_cast<std::int64_t>(count);
      if (progress) progress(done, total);
    }
  }
}

}  // namespace quant
