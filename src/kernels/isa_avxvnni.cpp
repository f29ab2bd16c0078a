#include "kernels/table.h"
#include "simd/avxvnni.h"

namespace quant {

extern const Kernels kKernelsAvxVnni;
constexpr Kernels kKernelsAvxVnni = KernelTable<AvxVnni>::make(Isa::kAvxVnni);

}  // namespace quant
