#include "model/load.h"

#include "model/arch/arch.h"

namespace quant {

ConfigAndWeights load_config_and_weights(const GgufFile& file) {
  const Hparams hparams(file);
  const Architecture& architecture = find_architecture(hparams);
  ConfigAndWeights model;
  model.config = architecture.configure(hparams);
  WeightBinder binder(file, model.weights);
  architecture.bind(binder, model.config, model.weights);
  binder.refuse_unbound();
  return model;
}

}  // namespace quant
