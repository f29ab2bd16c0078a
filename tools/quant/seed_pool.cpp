#include "seed_pool.h"

#include <cstdint>
#include <map>

namespace quant::tool {
namespace {

using Runs = std::vector<std::vector<double>>;

/// Differences of one seed, [windows][tokens].
Runs differences(const StoredCell& cell, const StoredCell* baseline) {
  Runs runs = cell.losses;
  for (std::size_t w = 0; baseline != nullptr && w < runs.size(); ++w) {
    for (std::size_t i = 0; i < runs[w].size(); ++i) runs[w][i] -= baseline->losses[w][i];
  }
  return runs;
}

/// About where in the text a window's scored tokens begin. Tokens that no window scores are not
/// counted: between seeds that makes a difference of one token at most.
std::int64_t text_position(const Json& record, std::int64_t window, std::int64_t scored_before) {
  const std::int64_t context = record["context"];
  const bool halves = record["protocol"] == "llamacpp";  // the second half of each window
  return record["text_offset"].get<std::int64_t>() +
         (halves ? window * context + context / 2 : scored_before);
}

/// What all seeds have in each stretch of the text, in the text's order.
Runs by_stretch(const std::vector<const StoredCell*>& cells,
                const std::vector<const StoredCell*>& baselines) {
  std::map<std::int64_t, std::vector<double>> stretches;
  for (std::size_t s = 0; s < cells.size(); ++s) {
    const Runs runs = differences(*cells[s], baselines[s]);
    std::int64_t scored = 0;
    for (std::size_t w = 0; w < runs.size(); ++w) {
      std::int64_t at = text_position(cells[s]->record, static_cast<std::int64_t>(w), scored);
      for (const double difference : runs[w]) stretches[at++ / kBlockTokens].push_back(difference);
      scored += static_cast<std::int64_t>(runs[w].size());
    }
  }
  Runs runs;
  for (auto& [place, stretch] : stretches) runs.push_back(std::move(stretch));
  return runs;
}

}  // namespace

PairedResult compare_seeds(const std::vector<const StoredCell*>& cells,
                           const std::vector<const StoredCell*>& baselines) {
  const bool one = cells.size() == 1;
  const Runs runs = one ? differences(*cells[0], baselines[0]) : by_stretch(cells, baselines);
  std::vector<PairedRun> paired;
  for (const std::vector<double>& run : runs) paired.push_back({run});
  // A token is scored once by each seed at most.
  const int block = kBlockTokens * static_cast<int>(cells.size());
  PairedResult result = compare_paired(paired, {.block_tokens = block});
  // Tokens of text, which is what more of them would cost.
  result.tokens /= static_cast<std::int64_t>(cells.size());
  return result;
}

}  // namespace quant::tool
