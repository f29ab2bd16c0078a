// Qwen 3, dense: norms of each query and key head.
#include "model/arch/arch.h"
#include "model/arch/decoder.h"

namespace quant {
namespace {

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_decoder(binder, config, weights, {.qk = true});
}

}  // namespace

const Architecture kQwen3 = {"qwen3", read_decoder<RopeStyle::kNeoX>, bind};

}  // namespace quant
