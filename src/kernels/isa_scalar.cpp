#include "kernels/table.h"
#include "simd/scalar.h"

namespace quant {

extern const Kernels kKernelsScalar;
constexpr Kernels kKernelsScalar = KernelTable<Scalar>::make(Isa::kScalar);

}  // namespace quant
