// The one wrapper around OpenMP.
#pragma once

#include <cstdint>

namespace quant {

/// Calls body(task, thread) once for every task in [0, tasks), on at most `threads` threads
/// (thread in [0, threads)). Each thread begins with a contiguous run, the same one at every call,
/// so that what it reads is still near its core the next time; who has finished helps the others.
/// The body must be noexcept: an exception may not leave a parallel region. A loop inside a task,
/// or inside with_crew for another number of threads, opens a parallel region of its own.
template <class Body>
void parallel_for(int threads, std::int64_t tasks, const Body& body) noexcept;

/// Runs body() while threads - 1 others stand by, so that a parallel_for inside it costs a fraction
/// of a microsecond instead of a parallel region of its own. Between loops they spin for 2,000
/// pauses (tens of microseconds), then sleep. What the body throws leaves with_crew.
template <class Body>
void with_crew(int threads, const Body& body);

namespace detail {

/// Something to be run.
using Call = void (*)(const void* body);
void call_with_crew(int threads, Call call, const void* body);

/// Tasks [begin, end) of some loop, on a thread.
using TaskRun = void (*)(const void* body, std::int64_t begin, std::int64_t end, int thread);

/// With the crew that this thread leads, or with one for just this loop.
void run_with_crew(int threads, std::int64_t tasks, TaskRun run, const void* body) noexcept;

}  // namespace detail

template <class Body>
void parallel_for(int threads, std::int64_t tasks, const Body& body) noexcept {
  if (threads <= 1 || tasks <= 1) {
    for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
  const auto run = [](const void* b, std::int64_t begin, std::int64_t end, int thread) {
    for (std::int64_t task = begin; task < end; ++task) {
      (*static_cast<const Body*>(b))(task, thread);
    }
  };
  detail::run_with_crew(threads, tasks, run, &body);
}

template <class Body>
void with_crew(int threads, const Body& body) {
  detail::call_with_crew(
      threads, [](const void* b) { (*static_cast<const Body*>(b))(); }, &body);
}

}  // namespace quant
