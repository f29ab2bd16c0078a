// One table of a report: KV formats on the same tokens.
#pragma once

#include <string>
#include <vector>

#include "record.h"
#include "sweep_store.h"

namespace quant::tool {

/// A KV format's cells: one, or one for each of several seeds, in the same order in all rows.
struct GroupRow {
  std::string label;
  std::vector<const StoredCell*> cells;
};

/// What report_data calls a group. Rows must have the same number of cells, at least one. With
/// several, perplexities and differences are pooled over seeds. Throws Error(kIo) if cells of one
/// seed were measured on different tokens.
Json report_group(const std::vector<GroupRow>& rows, double margin_percent);

}  // namespace quant::tool
