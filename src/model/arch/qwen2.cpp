// Qwen 2 and 2.5: biases on Q, K and V.
#include "model/arch/arch.h"
#include "model/arch/decoder.h"

namespace quant {
namespace {

void bind(WeightBinder& binder, ModelConfig& config, ModelWeights& weights) {
  bind_decoder(binder, config, weights, {});
}

}  // namespace

const Architecture kQwen2 = {"qwen2", read_decoder<RopeStyle::kNeoX>, bind};

}  // namespace quant
