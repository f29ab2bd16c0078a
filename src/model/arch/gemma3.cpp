// Gemma 3, text: query and key norms, norms after attention and feed-forward network, five layers
// with a sliding window and a RoPE of their own to one that sees everything.
#include "model/arch/arch.h"
#include "model/arch/decoder.h"
#include "model/arch/gemma.h"

namespace quant {
namespace {

/// The sliding layers' RoPE: another base, and never scaled.
RopeConfig local_rope(const Hparams& hparams, const RopeConfig& global) {
  RopeConfig rope = global;
  rope.base = hparams.positive_or("rope.freq_base_swa", 10000.0);
  rope.scaling = RopeScaling::kNone;
  rope.factor = 1.0;
  return rope;
}

ModelConfig configure(const Hparams& hparams) {
  ModelConfig config = read_gemma(hparams, 62);
  config.final_softcap =
      static_cast<float>(hparams.non_negative_or("final_logit_softcapping", 0.0));
  if (const int window = read_window(hparams, 0); window > 0) {
    mark_sliding_layers(hparams, window, 6, config);
    add_local_rope(local_rope(hparams, config.ropes.front()), config);
  }
  return config;
}

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_decoder(binder, config, weights, {.qk = true, .post = true});
}

}  // namespace

const Architecture kGemma3 = {"gemma3", configure, bind};

}  // namespace quant
