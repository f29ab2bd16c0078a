#include "report_data.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "quant/error.h"
#include "report_group.h"

namespace quant::tool {
namespace {

/// What the rows of a group have in common, as grid.json and the records name it.
constexpr const char* kShared[] = {"model_sha256", "text_sha256", "protocol", "context",
                                   "stride",       "chunks",      "math",     "batch"};

std::string family_name(const Json& cell) {
  std::string name;
  for (const char* field : kShared) name += cell[field].dump() + " ";
  return name;
}

/// What the cells of a row have in common: everything but the seed and what follows from it.
std::string row_name(Json cell) {
  for (const char* field : {"key", "seed", "text_offset", "tokens", "memory_bytes"}) {
    cell.erase(field);
  }
  return cell.dump();
}

/// Cells that differ in their KV formats and seeds alone, in the order of the grid.
class Family {
 public:
  void add(const Json& cell, StoredCell stored) {
    const std::string name = row_name(cell);
    const std::int64_t offset = cell["text_offset"];
    if (std::ranges::find(names_, name) == names_.end()) names_.push_back(name);
    if (std::ranges::find(offsets_, offset) == offsets_.end()) offsets_.push_back(offset);
    labels_.emplace(name, cell["label"]);
    cells_.emplace(std::pair(offset, name), std::move(stored));
  }

  /// Seeds that have all rows are pooled if there are several; others stand alone.
  void add_groups(Json& groups, double margin_percent) const {
    std::vector<std::int64_t> complete;
    std::ranges::copy_if(offsets_, std::back_inserter(complete), [&](std::int64_t offset) {
      return rows({offset}).size() == names_.size();
    });
    if (complete.size() < 2) complete.clear();
    if (!complete.empty()) {
      Json group = report_group(rows(complete), margin_percent);
      group["by_seed"] = Json::array();
      for (const std::int64_t offset : complete) {
        group["by_seed"].push_back(report_group(rows({offset}), margin_percent));
      }
      groups.push_back(std::move(group));
    }
    for (const std::int64_t offset : offsets_) {
      if (std::ranges::find(complete, offset) != complete.end()) continue;
      groups.push_back(report_group(rows({offset}), margin_percent));
    }
  }

 private:
  /// Rows that have a cell at each of these offsets.
  std::vector<GroupRow> rows(const std::vector<std::int64_t>& offsets) const {
    std::vector<GroupRow> rows;
    for (const std::string& name : names_) {
      GroupRow row{labels_.at(name), {}};
      for (const std::int64_t offset : offsets) {
        const auto cell = cells_.find(std::pair(offset, name));
        if (cell != cells_.end()) row.cells.push_back(&cell->second);
      }
      if (row.cells.size() == offsets.size()) rows.push_back(std::move(row));
    }
    return rows;
  }

  std::vector<std::string> names_;
  std::map<std::string, std::string> labels_;
  std::vector<std::int64_t> offsets_;
  std::map<std::pair<std::int64_t, std::string>, StoredCell> cells_;
};

}  // namespace

Json report_data(const SweepStore& store, double margin_percent) {
  const Json grid = store.grid();
  std::vector<Family> families;
  std::map<std::string, std::size_t> places;
  int missing = 0;
  for (const Json& cell : grid["cells"]) {
    const std::string key = cell["key"];
    if (!store.has(key)) {
      ++missing;
      continue;
    }
    const auto [at, fresh] = places.try_emplace(family_name(cell), families.size());
    if (fresh) families.emplace_back();
    families[at->second].add(cell, store.load(key));
  }
  if (families.empty()) throw Error(ErrorKind::kUsage, "no cell of this sweep was measured yet");
  Json data{{"schema_version", 1},
            {"margin_percent", margin_percent},
            {"cells", grid["cells"].size()},
            {"missing", missing},
            {"groups", Json::array()}};
  for (const Family& family : families) family.add_groups(data["groups"], margin_percent);
  return data;
}

}  // namespace quant::tool
