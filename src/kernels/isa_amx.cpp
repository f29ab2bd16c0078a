#include "kernels/table.h"
#include "simd/amx.h"

namespace quant {

extern const Kernels kKernelsAmx;
constexpr Kernels kKernelsAmx = KernelTable<Amx>::make(Isa::kAmx);

}  // namespace quant
