#include "kernels/table.h"
#include "simd/avx2.h"

namespace quant {

extern const Kernels kKernelsAvx2;
constexpr Kernels kKernelsAvx2 = KernelTable<Avx2>::make(Isa::kAvx2);

}  // namespace quant
