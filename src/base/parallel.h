// The one wrapper around OpenMP.
#pragma once

#include <cstdint>

namespace quant {

/// Calls body(task, thread) once for every task in [0, tasks), on at most `threads` threads
/// (thread in [0, threads)). Tasks are handed out in contiguous runs. The body must be noexcept:
/// an exception may not leave a parallel region.
template <class Body>
void parallel_for(int threads, std::int64_t tasks, const Body& body) noexcept;

}  // namespace quant

#ifndef _OPENMP
#error "quant needs OpenMP: compile with -fopenmp"
#endif
#include <omp.h>

namespace quant {

template <class Body>
void parallel_for(int threads, std::int64_t tasks, const Body& body) noexcept {
  if (threads <= 1 || tasks <= 1) {
    for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
  // Small shares handed out on demand: a core that the machine takes away delays only one of them.
  const std::int64_t share = tasks / (static_cast<std::int64_t>(threads) * 8) + 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic, share)
  for (std::int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

}  // namespace quant
