#include "simd/neon.h"

#include "kernels/table.h"

namespace quant {

extern const Kernels kKernelsNeon;
constexpr Kernels kKernelsNeon = KernelTable<Neon>::make(Isa::kNeon);

}  // namespace quant
