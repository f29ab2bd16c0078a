// Uninitialised, aligned memory for activations and the KV cache.
#pragma once

#include <stdlib.h>

#include <cstddef>
#include <new>
#include <utility>

#include "quant/error.h"

namespace quant {

/// A fixed-size array of trivially copyable T, aligned to a cache line at least and not
/// initialised, so that pages become resident only when they are written. Throws OutOfMemory,
/// std::bad_alloc for a number of bytes that does not exist.
template <class T>
class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;

  AlignedBuffer() = default;
  /// alignment: a power of two, at least kAlignment.
  explicit AlignedBuffer(std::size_t size, std::size_t alignment = kAlignment) : size_(size) {
    if (size == 0) return;
    if (size > (static_cast<std::size_t>(-1) - kAlignment) / sizeof(T)) throw std::bad_alloc();
    void* memory = nullptr;
    if (::posix_memalign(&memory, alignment, allocated_bytes()) != 0) {
      throw OutOfMemory(allocated_bytes());
    }
    data_ = static_cast<T*>(memory);
  }
  ~AlignedBuffer() { ::free(data_); }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }

  /// Bytes asked of the allocator: the size rounded up to whole cache lines.
  std::size_t allocated_bytes() const noexcept {
    return (size_ * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace quant
