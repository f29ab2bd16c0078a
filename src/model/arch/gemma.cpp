#include "model/arch/gemma.h"

#include <cmath>

namespace quant {

ModelConfig read_gemma(const Hparams& hparams, int layers_of_27b) {
  ModelConfig config = read_common(hparams, RopeStyle::kNeoX);
  config.activation = Activation::kGeluTanh;
  config.embedding_scale = std::sqrt(static_cast<float>(config.n_embd));
  if (config.n_layers == layers_of_27b) {
    config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.n_embd / config.n_heads));
  }
  return config;
}

int read_window(const Hparams& hparams, int fallback) {
  constexpr int kMaxWindow = 1 << 30;
  return hparams.integer_or("attention.sliding_window", fallback, 0, kMaxWindow);
}

void add_local_rope(const RopeConfig& rope, ModelConfig& config) {
  config.ropes.push_back(rope);
  for (LayerConfig& layer : config.layers) {
    if (layer.sliding_window > 0) layer.rope = 1;
  }
}

}  // namespace quant
