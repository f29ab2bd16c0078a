#include "kernels/simd_ops.h"
#include "simd/avx512.h"

namespace quant::test {

extern const SimdOpList kSimdOpsAvx512;
constexpr SimdOpList kSimdOpsAvx512 = SimdOps<Avx512>::list();

}  // namespace quant::test
