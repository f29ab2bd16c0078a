// Llama 1 to 3 and what shares their layout: Mistral, SmolLM, TinyLlama and others. Mistral's
// attention.sliding_window is not applied, as in llama.cpp.
#include "model/arch/arch.h"
#include "model/arch/decoder.h"

namespace quant {
namespace {

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_decoder(binder, config, weights, {});
  RopeConfig& rope = config.ropes.front();
  if (rope.scaling == RopeScaling::kLongRope) {
    bind_long_rope(binder, config);
  } else {
    rope.freq_factors = binder.optional_factors("rope_freqs.weight", rope.n_rot / 2);
  }
}

}  // namespace

const Architecture kLlama = {"llama", read_decoder<RopeStyle::kNormal>, bind};

}  // namespace quant
