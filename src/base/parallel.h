// The one wrapper around OpenMP.
#pragma once

#include <cstdint>
#include <functional>

namespace quant {

/// Calls body(task, thread) once for every task in [0, tasks), on at most `threads` threads
/// (thread in [0, threads)). Tasks are handed out in contiguous runs. The body must be noexcept:
/// an exception may not leave a parallel region.
template <class Body>
void parallel_for(int threads, std::int64_t tasks, const Body& body) noexcept;

/// Runs body() while threads - 1 others stand by, so that a parallel_for inside it costs a fraction
/// of a microsecond instead of a parallel region of its own. Between loops they spin for some ten
/// microseconds, then sleep. What the body throws leaves with_crew.
void with_crew(int threads, const std::function<void()>& body);

namespace detail {

/// Tasks [begin, end) of some loop, on a thread.
using TaskRun = void (*)(const void* body, std::int64_t begin, std::int64_t end, int thread);

/// False if this thread leads no crew of at least that many; nothing ran then.
bool run_with_crew(int threads, std::int64_t tasks, std::int64_t share, TaskRun run,
                   const void* body) noexcept;

}  // namespace detail
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
  // Shares handed out on demand: a core that the machine takes away delays only one of them.
  const std::int64_t share = tasks / (static_cast<std::int64_t>(threads) * 8) + 1;
  const auto run = [](const void* b, std::int64_t begin, std::int64_t end, int thread) {
    for (std::int64_t task = begin; task < end; ++task) {
      (*static_cast<const Body*>(b))(task, thread);
    }
  };
  if (detail::run_with_crew(threads, tasks, share, run, &body)) return;
#pragma omp parallel for num_threads(threads) schedule(dynamic, share)
  for (std::int64_t task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
}

}  // namespace quant
