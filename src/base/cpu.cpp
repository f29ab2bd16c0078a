#include "quant/cpu.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <string_view>
#include <thread>

#include "quant/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace quant {
namespace {

struct IsaName {
  Isa isa;
  std::string_view name;
};
constexpr IsaName kNames[] = {{Isa::kScalar, "scalar"},   {Isa::kAvx2, "avx2"},
                              {Isa::kAvxVnni, "avxvnni"}, {Isa::kAvx512, "avx512"},
                              {Isa::kAmx, "amx"},         {Isa::kNeon, "neon"}};

#if defined(__x86_64__)
/// Register state that the operating system saves (XCR0). Without it the CPU's own flags mean
/// nothing: the registers would be lost at the next task switch.
std::uint64_t saved_state() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0) return 0;
  unsigned low = 0;
  unsigned high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

/// CPUID leaf 7, sub-leaf 1, EAX bit 4.
bool has_avx_vnni() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || eax < 1) return false;
  __cpuid_count(7, 1, eax, ebx, ecx, edx);
  return (eax & (1u << 4)) != 0;
}

/// AMX-TILE and AMX-INT8 (CPUID leaf 7, EDX bits 24 and 25), their state saved (XCR0 bits 17 and
/// 18), and Linux's leave to use them, which holds for all threads of the process.
bool has_amx(std::uint64_t state) {
  constexpr std::uint64_t kTiles = std::uint64_t{3} << 17;
  constexpr unsigned kTileAndInt8 = 3u << 24;
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return (state & kTiles) == kTiles && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
         (edx & kTileAndInt8) == kTileAndInt8 &&
         ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

std::vector<Isa> detect() {
  constexpr std::uint64_t kYmm = 0x06;  // SSE and AVX state
  constexpr std::uint64_t kZmm = 0xe6;  // and opmask, upper ZMM, ZMM16-31
  const std::uint64_t state = saved_state();
  std::vector<Isa> isas;
  const bool avx2 = (state & kYmm) == kYmm && __builtin_cpu_supports("avx2") != 0 &&
                    __builtin_cpu_supports("fma") != 0 && [] {
                      unsigned a = 0, b = 0, c = 0, d = 0;
                      return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
                    }();
  const bool avx512 =
      avx2 && (state & kZmm) == kZmm && __builtin_cpu_supports("avx512f") != 0 &&
      __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
  if (avx512 && has_amx(state)) isas.push_back(Isa::kAmx);
  if (avx512) isas.push_back(Isa::kAvx512);
  if (avx2 && has_avx_vnni()) isas.push_back(Isa::kAvxVnni);
  if (avx2) isas.push_back(Isa::kAvx2);
  isas.push_back(Isa::kScalar);
  return isas;
}
#elif defined(__aarch64__)
std::vector<Isa> detect() { return {Isa::kNeon, Isa::kScalar}; }
#else
std::vector<Isa> detect() { return {Isa::kScalar}; }
#endif

}  // namespace

std::string_view isa_name(Isa isa) noexcept {
  for (const IsaName& entry : kNames) {
    if (entry.isa == isa) return entry.name;
  }
  return "unknown";
}

std::string known_isas() {
  std::string names;
  for (const IsaName& entry : kNames) {
    if (!names.empty()) names += ", ";
    names += entry.name;
  }
  return names;
}

Isa parse_isa(std::string_view name) {
  for (const IsaName& entry : kNames) {
    if (entry.name == name) return entry.isa;
  }
  throw Error(ErrorKind::kUsage,
              fmt::format("unknown instruction set '{}'; known: {}", name, known_isas()));
}

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

Isa best_isa() { return available_isas().front(); }

int available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const unsigned n = std::thread::hardware_concurrency();
  return n > 0 ? static_cast<int>(n) : 1;
}

std::size_t usable_memory() {
  const std::size_t installed = static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
                                static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  // Version 2 of control groups, as a container sees its own; "max" does not parse as a number.
  std::ifstream group("/sys/fs/cgroup/memory.max");
  std::size_t limit = 0;
  return group >> limit ? std::min(limit, installed) : installed;
}

namespace {

/// What /proc/cpuinfo says of the first CPU, "" if it does not.
std::string cpu_property(std::string_view name) {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    if (line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1) != name) continue;
    const std::size_t begin = line.find_first_not_of(' ', colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

}  // namespace

std::string cpu_name() {
#if defined(__aarch64__)
  const std::string part = cpu_property("CPU part");
  return part.empty() ? "aarch64" : fmt::format("aarch64 (part {})", part);
#else
  const std::string name = cpu_property("model name");
  const std::string family = cpu_property("cpu family");
  if (name.empty() || family.empty()) return name.empty() ? "unknown" : name;
  return fmt::format("{} (family {}, model {})", name, family, cpu_property("model"));
#endif
}

}  // namespace quant
