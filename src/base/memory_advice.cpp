#include "base/memory_advice.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace quant {
namespace {

void advise(const void* memory, std::size_t bytes, int advice) noexcept {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace

void advise_huge_pages(void* memory, std::size_t bytes) noexcept {
  advise(memory, bytes, MADV_HUGEPAGE);
}

void release_pages(const void* mapping, std::size_t bytes) noexcept {
  advise(mapping, bytes, MADV_DONTNEED);
}

}  // namespace quant
