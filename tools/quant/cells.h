// The cells of a grid: single measurements, each with a key that stands for all that determines it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "grid.h"
#include "options.h"
#include "record.h"

namespace quant::tool {

struct Cell {
  /// SHA-256 over `determinants`: of two cells with equal keys, one measurement serves for both.
  std::string key;
  /// Hashes of the engine's sources, of the model and of the text, protocol and KV formats. Not
  /// threads, instruction set or machine: results do not depend on them in any bit.
  Json determinants;
  RunOptions run;
  PplOptions ppl;
  std::string label;          ///< the KV formats, as describe() puts them
  std::uint64_t seed;         ///< which repetition; `ppl.offset` is what it means
  std::int64_t tokens;        ///< that go through the model
  double work;                ///< about as many products as the cell needs
  std::int64_t memory_bytes;  ///< about what it occupies while it runs
};

/// Every combination of every table once, in the order of models, texts, contexts, seeds, types,
/// windows and sinks. Loads the models and tokenizes the texts, so that whatever cannot be measured
/// is refused here: throws Error that names model and text.
std::vector<Cell> plan_cells(const std::vector<GridTable>& tables);

/// The only cell whose key begins so. Throws Error(kUsage).
const Cell& find_cell(const std::vector<Cell>& cells, const std::string& key);

}  // namespace quant::tool
