#include "kernels/simd_ops.h"
#include "simd/avx2.h"

namespace quant::test {

extern const SimdOpList kSimdOpsAvx2;
constexpr SimdOpList kSimdOpsAvx2 = SimdOps<Avx2>::list();

}  // namespace quant::test
