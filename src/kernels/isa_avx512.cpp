#include "kernels/table.h"
#include "simd/avx512.h"

namespace quant {

extern const Kernels kKernelsAvx512;
constexpr Kernels kKernelsAvx512 = KernelTable<Avx512>::make(Isa::kAvx512);

}  // namespace quant
