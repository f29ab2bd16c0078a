// Gemma 2: soft-caps, norms after attention and feed-forward network, a sliding window in every
// other layer.
#include "model/arch/arch.h"
#include "model/arch/decoder.h"
#include "model/arch/gemma.h"

namespace quant {
namespace {

ModelConfig configure(const Hparams& hparams) {
  ModelConfig config = read_gemma(hparams, 46);
  config.attention_softcap =
      static_cast<float>(hparams.non_negative_or("attn_logit_softcapping", 50.0));
  config.final_softcap =
      static_cast<float>(hparams.non_negative_or("final_logit_softcapping", 30.0));
  mark_sliding_layers(hparams, read_window(hparams, 4096), 2, config);
  if (hparams.has("rope.freq_base_swa")) {
    RopeConfig local = config.ropes.front();
    local.base = hparams.positive("rope.freq_base_swa");
    add_local_rope(local, config);
  }
  return config;
}

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_decoder(binder, config, weights, {.post = true});
}

}  // namespace

const Architecture kGemma2 = {"gemma2", configure, bind};

}  // namespace quant
