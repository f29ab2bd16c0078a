#include "kernels/simd_ops.h"
#include "simd/neon.h"

namespace quant::test {

extern const SimdOpList kSimdOpsNeon;
constexpr SimdOpList kSimdOpsNeon = SimdOps<Neon>::list();

}  // namespace quant::test
