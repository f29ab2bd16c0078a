// Qwen 3, dense: norms of each query and key head.
#include "model/arch/arch.h"

namespace quant {
namespace {

ModelConfig configure(const Hparams& hparams) { return read_common(hparams, RopeStyle::kNeoX); }

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_ends(binder, config, weights);
  bind_layers(weights, [&](int index, LayerWeights& layer) {
    bind_attention(binder, config, index, layer);
    bind_qk_norms(binder, config, index, layer);
    bind_ffn(binder, config, index, layer);
  });
}

}  // namespace

const Architecture kQwen3 = {"qwen3", configure, bind};

}  // namespace quant
