// Interleaves the weights for products.
#pragma once

#include "model/weights.h"

namespace quant {

/// Gives every matrix that is multiplied its panels, and the file's pages of it back to the
/// operating system: panels replace what is resident, they do not double it. The embedding keeps
/// its rows in the file, where tokens are looked up.
void pack_weights(ModelWeights& weights, int threads);

}  // namespace quant
