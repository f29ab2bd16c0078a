// KV configurations of a command line.
#pragma once

#include <vector>

#include "options.h"
#include "quant/kv_spec.h"

namespace quant::tool {

/// The configurations of a comma-separated -k. What one leaves open comes from -v, --k-window,
/// --v-window, --window and --sink. Throws Error(kUsage) if one cannot be read or is given twice.
std::vector<KvSpec> configurations(const RunOptions& run);

}  // namespace quant::tool
