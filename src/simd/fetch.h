// Asking memory for what comes next, in small steps between other work: in one go, loads would wait
// behind it.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace quant {

/// Memory that the caller of a kernel comes to next. It may reach beyond what is allocated: asking
/// for that does no harm.
struct Fetch {
  uintptr_t from = 0;
  size_t bytes = 0;

  /// Keeps the first n bytes and gives the others.
  inline __attribute__((always_inline)) Fetch split(size_t n) {
    const Fetch others{from + n, bytes - n};
    bytes = n;
    return others;
  }
};

/// Asks for all of it within `steps` steps, which should be as even as the work between them.
class FetchSteps {
 public:
  inline __attribute__((always_inline)) FetchSteps(const Fetch& fetch, size_t steps)
      : at_(fetch.from),
        end_(fetch.from + fetch.bytes),
        lines_a_step_((fetch.bytes + kLine * steps - 1) / (kLine * (steps > 0 ? steps : 1))) {}
  inline __attribute__((always_inline)) void step() { lines(lines_a_step_); }
  /// A part of a step: n cache lines.
  inline __attribute__((always_inline)) void lines(size_t n) {
    if (at_ >= end_) return;
    for (size_t i = 0; i < n; ++i) {
      __builtin_prefetch(reinterpret_cast<const void*>(at_ + kLine * i), 0, 3);
    }
    at_ += kLine * n;
  }

 private:
  static constexpr size_t kLine = 64;
  uintptr_t at_;
  uintptr_t end_;
  size_t lines_a_step_;
};

}  // namespace quant
