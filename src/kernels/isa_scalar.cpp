#include "simd/scalar.h"

#include "kernels/table.h"

namespace quant {

extern const Kernels kKernelsScalar;
constexpr Kernels kKernelsScalar = KernelTable<Scalar>::make(Isa::kScalar);

}  // namespace quant
