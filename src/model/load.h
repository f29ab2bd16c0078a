// Config and weights of a model file, apart from its tokenizer.
#pragma once

#include "gguf/gguf.h"
#include "model/weights.h"
#include "quant/model.h"

namespace quant {

struct ConfigAndWeights {
  ModelConfig config;
  ModelWeights weights;  ///< views into the file, which must outlive them
};

/// Throws Error(kModel) if the architecture is not supported, or if metadata and tensors are
/// missing, inconsistent, or more than the architecture knows.
ConfigAndWeights load_config_and_weights(const GgufFile& file);

}  // namespace quant
