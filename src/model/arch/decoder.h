// The layout that most architectures share: both ends, and layers of attention and a gated
// feed-forward network.
#pragma once

#include "model/binder.h"
#include "model/hparams.h"

namespace quant {

/// Norms that not every architecture has.
struct DecoderNorms {
  bool qk = false;    ///< of each query and key head
  bool post = false;  ///< of what attention and feed-forward network add
};

/// The config of an architecture that has nothing but what all have in common.
template <RopeStyle kStyle>
ModelConfig read_decoder(const Hparams& hparams) {
  return read_common(hparams, kStyle);
}

void bind_decoder(WeightBinder& binder, ModelConfig& config, ModelWeights& weights,
                  DecoderNorms norms);

/// The same with other layers: one call of bind_layer(index, layer) for each.
template <class BindLayer>
void bind_decoder_layers(WeightBinder& binder, ModelConfig& config, ModelWeights& weights,
                         const BindLayer& bind_layer) {
  bind_ends(binder, config, weights);
  int index = 0;
  for (LayerWeights& layer : weights.layers) bind_layer(index++, layer);
}

}  // namespace quant
