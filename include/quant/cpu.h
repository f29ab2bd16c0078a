// What this machine can run, found at run time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace quant {

/// Instruction sets that have kernels. avx2 means AVX2+FMA+F16C; avxvnni adds AVX-VNNI; avx512
/// means AVX-512 F, BW, DQ, VL and VNNI; amx adds AMX-TILE and AMX-INT8; neon means aarch64's
/// baseline Advanced SIMD.
enum class Isa { kScalar, kAvx2, kAvxVnni, kAvx512, kAmx, kNeon };

std::string_view isa_name(Isa isa) noexcept;
/// "scalar, avx2, …": all that parse_isa knows.
std::string known_isas();
/// Throws Error(kUsage) that lists the known names.
Isa parse_isa(std::string_view name);

/// Instruction sets that this build contains and this CPU and kernel can run, best first; never
/// empty, scalar is always last. The first call asks Linux for leave to use AMX's tiles, for the
/// whole process: from then on, alternate signal stacks must hold their 8 KiB as well.
const std::vector<Isa>& available_isas();
Isa best_isa();

/// CPUs this process may use (the affinity mask, not the machine).
int available_cpus();
/// Bytes of memory this process may use: what is installed, or its control group's limit.
std::size_t usable_memory();
/// The CPU's own name with its family and model, for records: names like "AMD EPYC" stand for
/// several generations.
std::string cpu_name();

}  // namespace quant
