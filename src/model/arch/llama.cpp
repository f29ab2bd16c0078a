// Llama 1 to 3 and what shares their layout: Mistral, SmolLM, TinyLlama and others. Mistral's
// attention.sliding_window is not applied, as in llama.cpp.
#include "model/arch/arch.h"

namespace quant {
namespace {

ModelConfig configure(const Hparams& hparams) { return read_common(hparams, RopeStyle::kNormal); }

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_ends(binder, config, weights);
  bind_layers(weights, [&](int index, LayerWeights& layer) {
    bind_attention(binder, config, index, layer);
    bind_ffn(binder, config, index, layer);
  });
  RopeConfig& rope = config.ropes.front();
  if (rope.scaling == RopeScaling::kLongRope) {
    bind_long_rope(binder, config);
  } else {
    rope.freq_factors = binder.optional_factors("rope_freqs.weight", rope.n_rot / 2);
  }
}

}  // namespace

const Architecture kLlama = {"llama", configure, bind};

}  // namespace quant
