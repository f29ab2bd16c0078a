// What a report says, before it is given a form.
#pragma once

#include <string>

#include "record.h"
#include "sweep_store.h"

namespace quant::tool {

/// {"schema_version", "margin_percent", "cells", "missing", "groups": [{what its rows share,
/// "seeds": their number, "baseline": the label its differences are to, "rows": [a cell's record,
/// and "label", "delta_…", "verdict", "pareto", …]}]}. A group is one model on one text in one
/// context: its rows scored the same tokens. Seeds that have all rows are one group, whose
/// "by_seed" has a group for each of them. Names are in docs/evaluation.md and docs/sweeps.md.
/// Throws Error(kIo) if the folder holds no sweep, Error(kUsage) if no cell was measured.
Json report_data(const SweepStore& store, double margin_percent);

}  // namespace quant::tool
