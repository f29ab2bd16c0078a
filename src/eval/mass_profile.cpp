// What can be read off a profile of attention by distance.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "quant/attention_mass.h"
#include "quant/compare.h"

namespace quant {
namespace {

void add_to(std::vector<double>& to, const std::vector<double>& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

double per_row(const MassProfile& profile, double mass) {
  return profile.rows > 0.0 ? mass / profile.rows : 0.0;
}

/// Mass of the bins below a distance.
double mass_below(const MassProfile& profile, const std::vector<double>& mass,
                  std::int64_t distance) {
  double below = 0.0;
  for (std::size_t b = 0; b < mass.size() && profile.bins[b].end <= distance; ++b) {
    below += mass[b];
  }
  return below;
}

}  // namespace

void MassProfile::add(const MassProfile& other) {
  add_to(behind, other.behind);
  add_to(first, other.first);
  add_to(pairs, other.pairs);
  add_to(keys, other.keys);
  rows += other.rows;
}

double share_within(const MassProfile& profile, std::int64_t window) {
  return per_row(profile, mass_below(profile, profile.behind, window) +
                              mass_below(profile, profile.first, window));
}

double share_within_and_first(const MassProfile& profile, std::int64_t window) {
  return per_row(profile, mass_below(profile, profile.behind, window) + sum(profile.first));
}

double share_of_first(const MassProfile& profile, int n) {
  return per_row(profile, std::accumulate(profile.keys.begin(), profile.keys.begin() + n, 0.0));
}

std::int64_t window_that_holds(const MassProfile& profile, double share, bool with_first) {
  // All of the mass must be within reach whatever its rounding.
  const double wanted =
      std::min(share * profile.rows, sum(profile.behind) + sum(profile.first)) * (1.0 - 1e-12);
  double held = with_first ? sum(profile.first) : 0.0;
  for (std::size_t b = 0; b < profile.bins.size(); ++b) {
    if (held >= wanted) return profile.bins[b].begin;
    held += profile.behind[b] + (with_first ? 0.0 : profile.first[b]);
  }
  return profile.bins.back().end;
}

MassProfile in_half_octaves(const MassProfile& profile) {
  MassProfile coarse{{}, {}, {}, {}, profile.keys, profile.rows};
  const std::vector<std::int64_t> edges = log_edges(profile.bins.back().end - 1);
  for (std::size_t b = 0, e = 0; b < profile.bins.size(); ++b) {
    const DistanceBin& bin = profile.bins[b];
    if (b == 0 || bin.begin >= edges[e]) {
      while (bin.begin >= edges[e]) ++e;
      coarse.bins.push_back({bin.begin, bin.end});
      for (std::vector<double>* mass : {&coarse.behind, &coarse.first, &coarse.pairs}) {
        mass->push_back(0.0);
      }
    }
    coarse.bins.back().end = bin.end;
    coarse.behind.back() += profile.behind[b];
    coarse.first.back() += profile.first[b];
    coarse.pairs.back() += profile.pairs[b];
  }
  return coarse;
}

std::optional<PowerLaw> fit_distance(const MassProfile& profile) {
  const MassProfile coarse = in_half_octaves(profile);
  std::vector<CurvePoint> points;
  for (std::size_t b = 0; b < coarse.bins.size(); ++b) {
    const auto [begin, end] = coarse.bins[b];
    if (begin < 1 || !(coarse.pairs[b] > 0.0)) continue;
    double log_distance = 0.0;
    for (std::int64_t d = begin; d < end; ++d) log_distance += std::log(static_cast<double>(d));
    const double width = static_cast<double>(end - begin);
    const double octaves = std::log(static_cast<double>(end) / static_cast<double>(begin));
    points.push_back({std::exp(log_distance / width), coarse.behind[b] / coarse.pairs[b],
                      octaves * coarse.pairs[b] / (width * coarse.rows)});
  }
  return fit_power_law(points);
}

}  // namespace quant
