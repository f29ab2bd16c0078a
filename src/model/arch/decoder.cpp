#include "model/arch/decoder.h"

namespace quant {

void bind_decoder(WeightBinder& binder, ModelConfig& config, ModelWeights& weights,
                  DecoderNorms norms) {
  bind_decoder_layers(binder, config, weights, [&](int index, LayerWeights& layer) {
    bind_attention(binder, config, index, layer);
    if (norms.qk) bind_qk_norms(binder, config, index, layer);
    bind_ffn(binder, config, index, layer);
    if (norms.post) bind_post_norms(binder, config, index, layer);
  });
}

}  // namespace quant
