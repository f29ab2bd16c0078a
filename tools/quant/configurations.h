// KV configurations of a command line.
#pragma once

#include <vector>

#include "options.h"
#include "quant/kv_spec.h"
#include "quant/lockstep.h"
#include "record.h"

namespace quant::tool {

/// The configurations of a comma-separated -k. What one leaves open comes from -v, --k-window,
/// --v-window, --window and --sink. Throws Error(kUsage) if one cannot be read or is given twice.
std::vector<KvSpec> configurations(const RunOptions& run);
/// The same behind FP32, which is always the first. Throws Error(kUsage) if nothing else is there.
std::vector<KvSpec> configurations_with_baseline(const RunOptions& run);

/// A configuration of a pass: format, memory, how many times larger plain FP32 and FP16 are.
Json sequence_record(const Lockstep& lockstep, int sequence);

}  // namespace quant::tool
