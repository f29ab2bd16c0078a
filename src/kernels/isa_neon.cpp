#include "kernels/table.h"
#include "simd/neon.h"

namespace quant {

extern const Kernels kKernelsNeon;
constexpr Kernels kKernelsNeon = KernelTable<Neon>::make(Isa::kNeon);

}  // namespace quant
