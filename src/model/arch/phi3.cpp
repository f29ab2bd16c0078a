// Phi 3 and 4: fused QKV, fused gate and up, LongRoPE, rotation of a part of each head. The file's
// attention.sliding_window is not applied, as in llama.cpp b11434.
#include "model/arch/arch.h"
#include "model/arch/decoder.h"

namespace quant {
namespace {

void bind_fused_ffn(WeightBinder& binder, const ModelConfig& config, int index,
                    LayerWeights& layer) {
  layer.ffn_norm = binder.vector(layer_name(index, "ffn_norm.weight"), config.n_embd);
  const Matrix gate_up = binder.matrix(layer_name(index, "ffn_up.weight"),
                                       2 * std::int64_t{config.n_ff}, config.n_embd);
  layer.gate = gate_up.slice(0, config.n_ff);
  layer.up = gate_up.slice(config.n_ff, config.n_ff);
  layer.down = binder.matrix(layer_name(index, "ffn_down.weight"), config.n_embd, config.n_ff);
}

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_decoder_layers(binder, config, weights, [&](int index, LayerWeights& layer) {
    bind_attention(binder, config, index, layer);
    bind_fused_ffn(binder, config, index, layer);
  });
  bind_long_rope(binder, config);
}

}  // namespace

const Architecture kPhi3 = {"phi3", read_decoder<RopeStyle::kNeoX>, bind};

}  // namespace quant
