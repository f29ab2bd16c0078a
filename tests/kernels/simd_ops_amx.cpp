#include "kernels/simd_ops.h"
#include "simd/amx.h"

namespace quant::test {

extern const SimdOpList kSimdOpsAmx;
constexpr SimdOpList kSimdOpsAmx = SimdOps<Amx>::list();

}  // namespace quant::test
