// GRID.toml: what a sweep measures. The names and their meaning are in docs/sweeps.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quant::tool {

/// One table of a grid; every combination of its lists is a cell. Paths are as the grid file means
/// them: relative to its folder.
struct GridTable {
  std::vector<std::string> models;
  std::vector<std::string> texts;
  std::vector<int> contexts = {0};
  std::vector<std::int64_t> seeds = {0};
  std::vector<std::string> types;
  std::vector<int> windows;  ///< of both sides; excludes k_windows and v_windows
  std::vector<int> k_windows = {0};
  std::vector<int> v_windows = {0};
  std::vector<int> sinks = {0};
  std::string protocol = "context";
  int stride = 0;
  int chunks = 0;
  std::string math = "exact";
  int batch = 512;
  bool allow_longer = false;
  bool attention_mass = false;
};

/// The tables [[grid]], each with what stands above them for whatever it leaves out; without any,
/// the file is one table. Throws Error(kUsage) that names file, line and what to write instead,
/// Error(kIo).
std::vector<GridTable> read_grid(const std::string& path);

}  // namespace quant::tool
