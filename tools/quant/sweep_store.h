// The folder of a sweep: grid.json lists its cells, cells/KEY.json is a cell's record in one line
// (all of them together are JSON lines), cells/KEY.losses holds its losses token by token.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cells.h"
#include "measure.h"

namespace quant::tool {

struct StoredCell {
  Json record;
  /// Loss of each scored token in nats, [windows][tokens]; kept as 32-bit floats.
  std::vector<std::vector<double>> losses;
};

/// Files appear whole or not at all, so that any process may be killed and several may work on
/// one sweep. All members throw Error(kIo).
class SweepStore {
 public:
  explicit SweepStore(const std::string& directory) : directory_(directory) {}

  /// Makes the folders and writes the list of cells.
  void prepare(const std::vector<Cell>& cells) const;
  /// The list of cells: {"schema_version", "cells": [{"key", "label", …}]}.
  Json grid() const;

  bool has(const std::string& key) const;
  void save(const Cell& cell, const Measurement& measured) const;
  StoredCell load(const std::string& key) const;

 private:
  std::filesystem::path path_of(const std::string& key, const char* extension) const;
  std::filesystem::path directory_;
};

/// The cells as grid.json lists them.
Json list_of(const std::vector<Cell>& cells);

}  // namespace quant::tool
