#include "grid.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <string_view>

#include "files.h"
#include "quant/error.h"
#include "quant/suggest.h"

namespace quant::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNames[] = {"models", "texts",    "contexts",     "seeds",
                                       "types",  "windows",  "k_windows",    "v_windows",
                                       "sinks",  "protocol", "stride",       "chunks",
                                       "math",   "batch",    "allow_longer", "attention_mass"};
constexpr std::string_view kTables = "grid";

/// Reads one table of the file into a GridTable that holds the defaults.
class TableReader {
 public:
  TableReader(const std::string& path, const toml::table& table) : path_(path), table_(table) {}

  GridTable read(GridTable into) const {
    refuse_unknown_names();
    read_paths("models", into.models);
    read_paths("texts", into.texts);
    read_list("contexts", into.contexts, 0);
    read_list("seeds", into.seeds, std::int64_t{0});
    read_list("types", into.types);
    read_windows(into);
    read_list("sinks", into.sinks, 0);
    read_one("protocol", into.protocol);
    read_one("stride", into.stride, 1);
    read_one("chunks", into.chunks, 1);
    read_one("math", into.math);
    read_one("batch", into.batch, 1);
    read_one("allow_longer", into.allow_longer);
    read_one("attention_mass", into.attention_mass);
    return into;
  }

 private:
  [[noreturn]] void refuse(const toml::node& at, const std::string& message) const {
    throw Error(ErrorKind::kUsage,
                fmt::format("{}:{}: {}", path_, at.source().begin.line, message));
  }

  void refuse_unknown_names() const {
    for (const auto& [key, node] : table_) {
      const std::string_view name = key.str();
      if (name == kTables || std::ranges::find(kNames, name) != std::end(kNames)) continue;
      const std::string nearest = nearest_name(name, kNames);
      refuse(node, nearest.empty()
                       ? fmt::format("unknown name '{}'; known: {}", name, fmt::join(kNames, ", "))
                       : fmt::format("unknown name '{}'; did you mean {}?", name, nearest));
    }
  }

  template <class T>
  T value(std::string_view name, const toml::node& node, T least = {}) const {
    if constexpr (std::is_same_v<T, std::string>) {
      if (const auto text = node.value_exact<std::string>()) return *text;
      refuse(node, fmt::format("{} must be text in quotes", name));
    } else if constexpr (std::is_same_v<T, bool>) {
      if (const auto truth = node.value_exact<bool>()) return *truth;
      refuse(node, fmt::format("{} must be true or false", name));
    } else {
      const auto number = node.value_exact<std::int64_t>();
      if (number.has_value() && *number >= least && *number <= std::numeric_limits<T>::max()) {
        return static_cast<T>(*number);
      }
      refuse(node, fmt::format("{} must be a whole number from {} on", name, least));
    }
  }

  template <class T>
  void read_one(std::string_view name, T& into, T least = {}) const {
    if (const toml::node* node = table_.get(name)) into = value<T>(name, *node, least);
  }

  /// A list, or one value for a list of one.
  template <class T>
  void read_list(std::string_view name, std::vector<T>& into, T least = {}) const {
    const toml::node* node = table_.get(name);
    if (node == nullptr) return;
    into.clear();
    if (const toml::array* list = node->as_array()) {
      if (list->empty()) refuse(*node, fmt::format("{} is empty, so there is no cell", name));
      for (const toml::node& item : *list) into.push_back(value<T>(name, item, least));
    } else {
      into.push_back(value<T>(name, *node, least));
    }
  }

  void read_paths(std::string_view name, std::vector<std::string>& into) const {
    if (!table_.contains(name)) return;
    read_list(name, into);
    const fs::path folder = fs::path(path_).parent_path();
    for (std::string& path : into) path = (folder / path).lexically_normal().string();
  }

  void read_windows(GridTable& into) const {
    const bool apart = table_.contains("k_windows") || table_.contains("v_windows");
    if (const toml::node* both = table_.get("windows"); both != nullptr && apart) {
      refuse(*both, "windows is both sides: leave it out, or k_windows and v_windows");
    }
    if (apart) into.windows.clear();
    read_list("windows", into.windows, 0);
    read_list("k_windows", into.k_windows, 0);
    read_list("v_windows", into.v_windows, 0);
  }

  const std::string& path_;
  const toml::table& table_;
};

void require(const std::string& path, const GridTable& table) {
  const std::pair<const char*, bool> needed[] = {{"models", table.models.empty()},
                                                 {"texts", table.texts.empty()},
                                                 {"types", table.types.empty()}};
  for (const auto& [name, missing] : needed) {
    if (missing) {
      throw Error(ErrorKind::kUsage, fmt::format("{}: the grid names no {}", path, name));
    }
  }
}

toml::table parse(const std::string& path) {
  try {
    return toml::parse(read_text(path), path);
  } catch (const toml::parse_error& error) {
    throw Error(ErrorKind::kUsage,
                fmt::format("{}:{}: {}", path, error.source().begin.line, error.description()));
  }
}

}  // namespace

std::vector<GridTable> read_grid(const std::string& path) {
  const toml::table file = parse(path);
  const GridTable common = TableReader(path, file).read({});
  std::vector<GridTable> tables;
  if (const toml::node* node = file.get(kTables)) {
    const toml::array* list = node->as_array();
    if (list == nullptr || !list->is_homogeneous<toml::table>()) {
      throw Error(ErrorKind::kUsage, fmt::format("{}:{}: write tables of the grid as [[grid]]",
                                                 path, node->source().begin.line));
    }
    for (const toml::node& table : *list) {
      if (table.as_table()->contains(kTables)) {
        throw Error(ErrorKind::kUsage, fmt::format("{}:{}: a [[grid]] holds no further [[grid]]",
                                                   path, table.source().begin.line));
      }
      tables.push_back(TableReader(path, *table.as_table()).read(common));
    }
  } else {
    tables.push_back(common);
  }
  for (const GridTable& table : tables) require(path, table);
  return tables;
}

}  // namespace quant::tool
