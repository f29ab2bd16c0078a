// What Gemma 2 and 3 have in common.
#pragma once

#include "model/hparams.h"

namespace quant {

/// Activation, embedding scale and attention scale. The 27B model, known by its number of layers,
/// alone scales attention by a head's share of the embedding instead of by the head's size.
ModelConfig read_gemma(const Hparams& hparams, int layers_of_27b);

/// attention.sliding_window, 0 for none.
int read_window(const Hparams& hparams, int fallback);

/// Gives the layers with a sliding window a RoPE of their own.
void add_local_rope(const RopeConfig& rope, ModelConfig& config);

}  // namespace quant
