// The supported architectures. Adding one: a file beside this one, its name below and in
// registry.cpp.
#pragma once

#include <string_view>

#include "model/binder.h"
#include "model/hparams.h"

namespace quant {

/// How the files of one architecture are read: first the metadata, then the tensors, which may
/// complete the config (vocabulary, RoPE factors). Conventions are those of llama.cpp b11434.
struct Architecture {
  std::string_view name;  ///< general.architecture
  ModelConfig (*configure)(const Hparams& hparams);
  void (*bind)(WeightBinder& binder, ModelConfig& config, ModelWeights& weights);
};

extern const Architecture kLlama;
extern const Architecture kQwen2;
extern const Architecture kQwen3;
extern const Architecture kGemma2;
extern const Architecture kGemma3;
extern const Architecture kPhi3;

/// Throws Error(kModel) that lists the supported ones.
const Architecture& find_architecture(const Hparams& hparams);

}  // namespace quant
