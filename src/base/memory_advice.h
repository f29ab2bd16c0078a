// What the operating system is told about memory. Advice only: failures do not matter.
#pragma once

#include <cstddef>

#include "base/aligned_buffer.h"

namespace quant {

/// Size and alignment of a large page (x86).
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Large pages for those that lie wholly inside, so that streaming through them misses the TLB
/// less.
void advise_huge_pages(void* memory, std::size_t bytes) noexcept;
/// A buffer in large pages, if one fits.
template <class T>
AlignedBuffer<T> in_huge_pages(std::size_t size) {
  const std::size_t bytes = size * sizeof(T);
  if (bytes < kHugePage) return AlignedBuffer<T>(size);
  AlignedBuffer<T> buffer(size, kHugePage);
  advise_huge_pages(buffer.data(), bytes);
  return buffer;
}
/// The whole pages inside a read-only mapping of a file need not stay resident; they are read again
/// where they are touched again.
void release_pages(const void* mapping, std::size_t bytes) noexcept;

}  // namespace quant
