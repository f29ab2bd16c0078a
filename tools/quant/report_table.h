// Tables of a report.
#pragma once

#include <string>
#include <vector>

#include "record.h"

namespace quant::tool {

/// A group's rows as texts, the names of the columns first. Columns that say nothing are left out.
std::vector<std::vector<std::string>> table_of(const Json& group);
/// "smollm2-135m on ppl_1k.txt".
std::string title_of(const Json& group);
/// How it was measured and what the differences are to, in a sentence or two.
std::string facts_of(const Json& group, double margin_percent);
/// What the columns mean.
std::string legend();

std::string markdown_report(const Json& data);
std::string latex_report(const Json& data);
/// A line a row, a column a field of the record; empty where a row has none.
std::string csv_report(const Json& data);

}  // namespace quant::tool
