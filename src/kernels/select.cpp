#include <fmt/format.h>

#include "kernels/kernels.h"
#include "quant/error.h"

namespace quant {

extern const Kernels kKernelsScalar;
extern const Kernels kKernelsAvx2;
extern const Kernels kKernelsAvxVnni;
extern const Kernels kKernelsAvx512;
extern const Kernels kKernelsAmx;
extern const Kernels kKernelsNeon;

const Kernels& kernels_for(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAmx:
      return kKernelsAmx;
    case Isa::kAvx512:
      return kKernelsAvx512;
    case Isa::kAvxVnni:
      return kKernelsAvxVnni;
    case Isa::kAvx2:
      return kKernelsAvx2;
#elif defined(__aarch64__)
    case Isa::kNeon:
      return kKernelsNeon;
#endif
    default:
      return kKernelsScalar;
  }
}

const WeightKernels& weight_kernels(const Kernels& kernels, TensorType type) {
  for (int i = 0; i < kernels.n_weights; ++i) {
    if (kernels.weights[i].type == type) return kernels.weights[i];
  }
  throw Error(ErrorKind::kModel,
              fmt::format("weight type {} has no kernels", tensor_type_info(type).name));
}

}  // namespace quant
