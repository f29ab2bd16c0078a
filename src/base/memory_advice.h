// What the operating system is told about memory. Advice only: failures do not matter.
#pragma once

#include <cstddef>

namespace quant {

/// Size and alignment of a large page (x86).
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Large pages for those that lie wholly inside, so that streaming through them misses the TLB
/// less.
void advise_huge_pages(void* memory, std::size_t bytes) noexcept;
/// The whole pages inside a read-only mapping of a file need not stay resident; they are read again
/// where they are touched again.
void release_pages(const void* mapping, std::size_t bytes) noexcept;

}  // namespace quant
