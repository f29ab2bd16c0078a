#include "quant/exact_mass.h"

#include <numeric>
#include <vector>

#include "base/to_size.h"
#include "kv/cache.h"

namespace quant {
namespace {

/// What a row holds outside the codes.
double exact_weight(const AttentionRow& row, const KvSide& side, int sliding_window) {
  if (side.type == KvType::kFp32) return 1.0;
  const QueryView view = query_view(side, sliding_window, row.position);
  double sum = 0.0;
  for (const PositionRange& range : {view.sink, view.window}) {
    const auto weights = row.weights.subspan(to_size(range.begin - view.sink.begin),
                                             to_size(range.end - range.begin));
    sum = std::accumulate(weights.begin(), weights.end(), sum);
  }
  return sum;
}

}  // namespace

struct ExactMass::State {
  struct Sums {
    double keys = 0.0;
    double values = 0.0;
    std::int64_t queries = 0;
  };
  std::vector<int> sliding_windows;  // [layers]
  std::vector<KvSpec> specs;
  std::size_t n_heads;
  std::vector<Sums> sums;  // [sequences][layers][heads]

  std::size_t at(int sequence, int layer, int head) const noexcept {
    return (to_size(sequence) * sliding_windows.size() + to_size(layer)) * n_heads + to_size(head);
  }
};

ExactMass::ExactMass(const ModelConfig& config, std::span<const KvSpec> specs)
    : state_(std::make_unique<State>()) {
  for (const LayerConfig& layer : config.layers) {
    state_->sliding_windows.push_back(layer.sliding_window);
  }
  state_->specs.assign(specs.begin(), specs.end());
  state_->n_heads = to_size(config.n_heads);
  state_->sums.resize(specs.size() * config.layers.size() * state_->n_heads);
}

ExactMass::~ExactMass() = default;

void ExactMass::observe(const AttentionRow& row) noexcept {
  const KvSpec& spec = state_->specs[to_size(row.sequence)];
  const int sliding_window = state_->sliding_windows[to_size(row.layer)];
  State::Sums& sums = state_->sums[state_->at(row.sequence, row.layer, row.head)];
  sums.keys += exact_weight(row, spec.key, sliding_window);
  sums.values += exact_weight(row, spec.value, sliding_window);
  ++sums.queries;
}

ExactMassShare ExactMass::share(int sequence) const {
  const std::size_t n = state_->sliding_windows.size() * state_->n_heads;
  const auto sums = std::span(state_->sums).subspan(state_->at(sequence, 0, 0), n);
  ExactMassShare share;
  share.queries = sums.front().queries;
  if (share.queries == 0) return share;
  for (const State::Sums& head : sums) {
    share.keys += head.keys;
    share.values += head.values;
  }
  const double rows = static_cast<double>(share.queries) * static_cast<double>(n);
  share.keys /= rows;
  share.values /= rows;
  return share;
}

ExactMassShare pooled(const ExactMassShare& a, const ExactMassShare& b) {
  const double n_a = static_cast<double>(a.queries);
  const double n_b = static_cast<double>(b.queries);
  const double n = n_a + n_b;
  if (n == 0.0) return {};
  return {(a.keys * n_a + b.keys * n_b) / n, (a.values * n_a + b.values * n_b) / n,
          a.queries + b.queries};
}

}  // namespace quant
