#include <fmt/format.h>

#include "gguf/cursor.h"
#include "model/arch/arch.h"

namespace quant {
namespace {

constexpr const Architecture* kArchitectures[] = {&kLlama,  &kQwen2,  &kQwen3,
                                                  &kGemma2, &kGemma3, &kPhi3};

}  // namespace

const Architecture& find_architecture(const Hparams& hparams) {
  std::string known;
  for (const Architecture* architecture : kArchitectures) {
    if (architecture->name == hparams.architecture()) return *architecture;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", architecture->name);
  }
  hparams.fail(fmt::format("the architecture {} is not supported: these are: {}",
                           printable(hparams.architecture()), known));
}

}  // namespace quant
