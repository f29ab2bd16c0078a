// A model, a text and grids to sweep over, small enough for a test.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {

class SweepDirectory : public testing::Test {
 protected:
  SweepDirectory() {
    write_tiny_model(dir.path(), {});
    std::string words;
    for (int i = 0; i < 150; ++i) words += "the rain " + std::to_string(i * i) + " in spain ";
    write_file(dir.path() / "text.txt", words);
  }

  /// Writes a grid; models and texts are the directory's own unless the lines name others.
  std::string grid(const std::string& lines, const std::string& name = "grid.toml") const {
    std::string text = lines;
    for (const auto& [key, value] : {std::pair("texts", "text.txt"), {"models", "llama.gguf"}}) {
      if (lines.starts_with(key) || lines.find(fmt::format("\n{}", key)) != std::string::npos)
        continue;
      text = fmt::format("{} = [\"{}\"]\n{}", key, value, text);
    }
    write_file(dir.path() / name, text);
    return (dir.path() / name).string();
  }

  /// One thread unless the further arguments say otherwise: the model is too small to share out.
  std::vector<std::string> sweep(const std::string& grid_path,
                                 std::vector<std::string> further = {}) const {
    std::vector<std::string> arguments = {"sweep", grid_path, "-o", out, "-j", "1", "--json"};
    arguments.insert(arguments.end(), further.begin(), further.end());
    return arguments;
  }

  nlohmann::json run_sweep(const std::string& grid_path,
                           std::vector<std::string> further = {}) const {
    const CommandResult result = run_quant(sweep(grid_path, std::move(further)));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json();
  }

  /// The records of all cells that were measured, by their keys; each must be a line of JSON.
  std::map<std::string, nlohmann::json> records() const {
    std::map<std::string, nlohmann::json> records;
    const std::filesystem::path cells = std::filesystem::path(out) / "cells";
    if (!std::filesystem::exists(cells)) return records;
    for (const auto& entry : std::filesystem::directory_iterator(cells)) {
      if (entry.path().extension() != ".json") continue;
      const std::string line = read_file(entry.path());
      EXPECT_EQ(line.find('\n'), line.size() - 1) << entry.path();
      records[entry.path().stem().string()] = nlohmann::json::parse(line);
    }
    return records;
  }

  TempDir dir;
  std::string out = (dir.path() / "out").string();
};

}  // namespace quant::test
