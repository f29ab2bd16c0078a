// The one wrapper around OpenMP.
#pragma once

#include <cstdint>

namespace quant {

/// Calls body(task, thread) once for every task in [0, tasks), on at most `threads` threads
/// (thread in [0, threads)). Each thread gets one contiguous run, the same one at every call: what
/// it reads is then still near its core the next time. The body must be noexcept: an exception may
/// not leave a parallel region.
template <class Body>
void parallel_for(int threads, std::int64_t tasks, const Body& body) noexcept;

/// The same for tasks of unequal length, handed out one by one on demand.
template <class Body>
void parallel_for_uneven(int threads, std::int64_t tasks, const Body& body) noexcept;

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
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

template <class Body>
void parallel_for_uneven(int threads, std::int64_t tasks, const Body& body) noexcept {
  if (threads <= 1 || tasks <= 1) {
    for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (std::int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

}  // namespace quant
