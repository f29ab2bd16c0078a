// Asking memory for what comes next, in small steps between other work: in one go, loads would wait
// behind it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/inline.h"

namespace quant {

/// A piece of memory. It may reach beyond what is allocated: asking for that does no harm.
struct MemoryPiece {
  uintptr_t from = 0;
  size_t bytes = 0;
};

/// Where what is asked for waits.
enum class FetchTo { kL1, kL2 };

/// Memory that the caller of a kernel comes to next, and what it comes to later, which waits in the
/// L2 cache.
struct Fetch {
  MemoryPiece next;
  MemoryPiece later;
  FetchTo to = FetchTo::kL1;  // of `next`
};

/// Asks for all of it within `steps` steps, which should be as even as the work between them.
/// Ask: what asks for a cache line, ask<locality>(address).
template <class Ask>
class FetchStepsWith {
 public:
  QUANT_INLINE FetchStepsWith(const Fetch& fetch, size_t steps)
      : at_(fetch.next.from),
        end_(fetch.next.from + fetch.next.bytes),
        later_(fetch.later),
        to_(fetch.to) {
    // The step that ends `next` is not filled up from `later`.
    if (later_.bytes > 0 && steps > 0) --steps;
    if (steps == 0) steps = 1;
    lines_a_step_ = (fetch.next.bytes + fetch.later.bytes + kLine * steps - 1) / (kLine * steps);
  }
  QUANT_INLINE void step() { lines(lines_a_step_); }
  /// A part of a step: n cache lines.
  QUANT_INLINE void lines(size_t n) {
    if (at_ >= end_) {
      if (later_.bytes == 0) return;
      at_ = later_.from;
      end_ = later_.from + later_.bytes;
      later_.bytes = 0;
      to_ = FetchTo::kL2;
    }
    if (to_ == FetchTo::kL1) {
      for (size_t i = 0; i < n; ++i) Ask::template ask<3>(at_ + kLine * i);
    } else {
      for (size_t i = 0; i < n; ++i) Ask::template ask<2>(at_ + kLine * i);
    }
    at_ += kLine * n;
  }

 private:
  static constexpr size_t kLine = 64;

  uintptr_t at_;
  uintptr_t end_;
  MemoryPiece later_;
  FetchTo to_;
  size_t lines_a_step_;
};

struct AskMemory {
  template <int Locality>
  static QUANT_INLINE void ask(uintptr_t line) {
    __builtin_prefetch(reinterpret_cast<const void*>(line), 0, Locality);
  }
};
using FetchSteps = FetchStepsWith<AskMemory>;

}  // namespace quant
