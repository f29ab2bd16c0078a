#include "kernels/simd_ops.h"
#include "simd/scalar.h"

namespace quant::test {

extern const SimdOpList kSimdOpsScalar;
constexpr SimdOpList kSimdOpsScalar = SimdOps<Scalar>::list();

}  // namespace quant::test
