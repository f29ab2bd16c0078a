#include "engine/activations.h"

namespace quant {
namespace {

AlignedBuffer<float> floats(int a, int b, int c = 1) {
  return AlignedBuffer<float>(static_cast<std::size_t>(a) * static_cast<std::size_t>(b) *
                              static_cast<std::size_t>(c));
}

}  // namespace

Activations::Activations(const ModelConfig& config, int max_batch)
    : hidden(floats(max_batch, config.n_embd)),
      normed(floats(max_batch, config.n_embd)),
      queries(floats(max_batch, config.n_heads, config.key_dim)),
      keys(floats(max_batch, config.n_kv_heads, config.key_dim)),
      values(floats(max_batch, config.n_kv_heads, config.value_dim)),
      exact_keys(floats(max_batch, config.n_kv_heads, config.key_dim)),
      exact_values(floats(max_batch, config.n_kv_heads, config.value_dim)),
      attended(floats(max_batch, config.n_heads, config.value_dim)),
      projected(floats(max_batch, config.n_embd)),
      gate(floats(max_batch, config.n_ff)),
      up(floats(max_batch, config.n_ff)) {}

}  // namespace quant
