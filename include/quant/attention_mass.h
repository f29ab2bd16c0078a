// Where attention goes: its mass by distance from the query, and on a context's first tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "quant/attention_observer.h"
#include "quant/perplexity.h"
#include "quant/power_law.h"

namespace quant {

/// Distances [begin, end): query position - key position, 0 is the query's own key.
struct DistanceBin {
  std::int64_t begin;
  std::int64_t end;
};

/// Attention summed over queries, and over heads where it is of more than one. The first tokens of
/// a context draw attention wherever they are (arXiv 2309.17453), so their mass is held apart.
struct MassProfile {
  std::vector<DistanceBin> bins;  ///< ascending, without gaps
  std::vector<double> behind;     ///< [bins], mass on keys that are not among the first
  std::vector<double> first;      ///< [bins], mass on the first keys, by their distance
  std::vector<double> pairs;      ///< [bins], pairs of query and key that `behind` is made of
  std::vector<double> keys;       ///< [at least the first], mass on the keys at 0, 1, 2, …
  double rows = 0.0;              ///< queries times heads: what all mass adds up to

  void add(const MassProfile& other);
};

/// Share of the mass on keys at distances below `window`, which must be an edge of a bin.
double share_within(const MassProfile& profile, std::int64_t window);
/// The same where the first keys count as well, however far away they are.
double share_within_and_first(const MassProfile& profile, std::int64_t window);
/// Share of the mass on the n first keys, n at most profile.keys.size().
double share_of_first(const MassProfile& profile, int n);
/// The smallest edge of a bin below which `share` of the mass lies, in the sense of share_within or
/// share_within_and_first. 0 if the first keys hold that much by themselves.
std::int64_t window_that_holds(const MassProfile& profile, double share, bool with_first);
/// The same profile in bins of half an octave: 0, 1, 2, 3, 4, 6, 8, 12, …
MassProfile in_half_octaves(const MassProfile& profile);
/// Mass a pair of query and key against distance, over bins of half an octave from distance 1 on,
/// without the first keys. A bin weighs its width in ln(distance) times the share of its pairs that
/// exist: the last bin of a context is not seen by all queries.
std::optional<PowerLaw> fit_distance(const MassProfile& profile);

struct AttentionMassOptions {
  std::int64_t from = 0;  ///< queries at earlier positions do not count
  int first = 4;          ///< keys that count as a context's first
  /// Windows that bins must have an edge at; shares within them are exact.
  std::vector<std::int64_t> windows;
};

/// Sums up the attention of a single sequence, of every layer and head. Bins are one distance wide
/// up to 64 and a 32nd of an octave beyond, so that windows are right to 3 %. Holds bins doubles a
/// head, whatever the length of the text. Sums do not depend on batch or threads.
class AttentionMass final : public AttentionObserver {
 public:
  /// context: positions that a query may be at.
  AttentionMass(const ModelConfig& config, std::int64_t context,
                const AttentionMassOptions& options);
  ~AttentionMass() override;

  void observe(const AttentionRow& row) noexcept override;
  /// From now on also queries before `position` do not count.
  void begin_window(std::int64_t position) noexcept;

  /// Queries that counted.
  std::int64_t queries() const noexcept;
  const AttentionMassOptions& options() const noexcept;
  MassProfile head(int layer, int head) const;
  MassProfile layer(int layer) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Runs the windows of a plan through a session with `options` and adds up what their scored
/// queries attend to. No logits are computed. Throws what Session throws.
void measure_attention(std::shared_ptr<const Model> model, SessionOptions options,
                       const EvalPlan& plan, AttentionMass& mass, const Progress& progress = {});

}  // namespace quant
