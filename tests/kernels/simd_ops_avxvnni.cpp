#include "kernels/simd_ops.h"
#include "simd/avxvnni.h"

namespace quant::test {

extern const SimdOpList kSimdOpsAvxVnni;
constexpr SimdOpList kSimdOpsAvxVnni = SimdOps<AvxVnni>::list();

}  // namespace quant::test
