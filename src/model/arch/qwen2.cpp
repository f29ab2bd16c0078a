// Qwen 2 and 2.5: biases on Q, K and V.
#include "model/arch/arch.h"

namespace quant {
namespace {

ModelConfig configure(const Hparams& hparams) { return read_common(hparams, RopeStyle::kNeoX); }

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_ends(binder, config, weights);
  bind_layers(weights, [&](int index, LayerWeights& layer) {
    bind_attention(binder, config, index, layer);
    bind_ffn(binder, config, index, layer);
  });
}

}  // namespace

const Architecture kQwen2 = {"qwen2", configure, bind};

}  // namespace quant
