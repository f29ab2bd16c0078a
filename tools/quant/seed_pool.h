// Losses of one or of several seeds as one sample.
#pragma once

#include <vector>

#include "quant/paired.h"
#include "sweep_store.h"

namespace quant::tool {

/// Differences of the losses of cells and of their baselines on the same tokens, a pair for each
/// seed; a baseline may be nullptr, then these are the losses themselves. Seeds score much of the
/// same text: taking their tokens for independent would make intervals too narrow. A block is
/// therefore all that the seeds scored in 64 tokens of the text.
PairedResult compare_seeds(const std::vector<const StoredCell*>& cells,
                           const std::vector<const StoredCell*>& baselines);

}  // namespace quant::tool
