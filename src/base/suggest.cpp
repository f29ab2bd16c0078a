#include "quant/suggest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace quant {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view word, std::span<const std::string_view> known) {
  std::string_view best;
  std::size_t best_distance = 0;
  for (const std::string_view name : known) {
    const std::size_t distance = edit_distance(word, name);
    const std::size_t limit = std::max<std::size_t>(2, std::max(word.size(), name.size()) / 3);
    const bool near = distance <= limit || (name.size() > 3 && word.starts_with(name));
    if (!near || (!best.empty() && distance >= best_distance)) continue;
    best = name;
    best_distance = distance;
  }
  return std::string(best);
}

}  // namespace quant
