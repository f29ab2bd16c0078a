#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <utility>

#include "base/to_size.h"

#ifndef _OPENMP
#error "quant needs OpenMP: compile with -fopenmp"
#endif
#include <omp.h>

namespace quant {
namespace {

inline void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `value` is no longer `old`: spins first, since the next task usually comes within
/// microseconds, then sleeps.
void wait_for_change(const std::atomic<int>& value, int old) noexcept {
  constexpr int kSpins = 2000;
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause_briefly();
  }
  value.wait(old, std::memory_order_acquire);
}

/// What is left of a thread's tasks, on a cache line of its own.
struct alignas(64) Run {
  std::atomic<std::int64_t> next{0};
  std::int64_t end = 0;
};

/// The runs of a crew's threads. The last ones of this thread are used again, so that a call for
/// each token allocates nothing.
class Runs {
 public:
  explicit Runs(int threads) : kept_(std::exchange(spare, {})) {
    if (kept_.threads < threads) kept_ = {std::make_unique<Run[]>(to_size(threads)), threads};
  }
  ~Runs() { spare = std::move(kept_); }
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;
  Run& operator[](int thread) noexcept { return kept_.runs[to_size(thread)]; }

 private:
  struct Kept {
    std::unique_ptr<Run[]> runs;
    int threads = 0;
  };
  static thread_local Kept spare;

  Kept kept_;
};
thread_local Runs::Kept Runs::spare;

/// The leader publishes a loop by raising `round`; everybody takes shares of it until none is left,
/// and the leader goes on when all others have reported.
class Crew {
 public:
  /// OpenMP may give fewer threads than were asked for.
  explicit Crew(int asked) : asked_(asked), threads_(asked), runs_(asked) {}
  int asked() const noexcept { return asked_; }
  /// Before the first loop.
  void set_threads(int given) noexcept { threads_ = given; }

  void lead(std::int64_t tasks, detail::TaskRun run, const void* body) noexcept {
    run_ = run;
    body_ = body;
    for (int t = 0; t < threads_; ++t) {
      Run& own = runs_[t];
      own.end = tasks * (t + 1) / threads_;
      own.next.store(tasks * t / threads_, std::memory_order_relaxed);
    }
    // Small enough that a thread whose core is taken away holds up little.
    share_ = std::max<std::int64_t>(1, tasks / (std::int64_t{threads_} * 8));
    reported_.store(0, std::memory_order_relaxed);
    start_round();
    take_shares(0);
    for (int reported = reported_.load(std::memory_order_acquire); reported < threads_ - 1;
         reported = reported_.load(std::memory_order_acquire)) {
      wait_for_change(reported_, reported);
    }
  }

  void dismiss() noexcept {
    run_ = nullptr;
    start_round();
  }

  void follow(int thread) noexcept {
    for (int seen = 0;; seen = static_cast<int>(static_cast<unsigned>(seen) + 1u)) {
      wait_for_change(round_, seen);
      if (run_ == nullptr) return;
      take_shares(thread);
      reported_.fetch_add(1, std::memory_order_release);
      reported_.notify_one();
    }
  }

 private:
  void start_round() noexcept {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }
  void take_shares(int thread) noexcept {
    for (int i = 0; i < threads_; ++i) {
      Run& run = runs_[(thread + i) % threads_];
      // Looking is cheaper than taking: all threads may look at a cache line at once.
      while (run.next.load(std::memory_order_relaxed) < run.end) {
        const std::int64_t begin = run.next.fetch_add(share_, std::memory_order_relaxed);
        if (begin >= run.end) break;
        run_(body_, begin, std::min(begin + share_, run.end), thread);
      }
    }
  }

  const int asked_;
  int threads_;
  Runs runs_;
  std::int64_t share_ = 1;
  detail::TaskRun run_ = nullptr;
  const void* body_ = nullptr;
  // On cache lines of their own: followers watch one while others write the next.
  alignas(64) std::atomic<int> round_{0};
  alignas(64) std::atomic<int> reported_{0};
};

/// The crew that this thread leads, unless it is at work on a loop.
thread_local Crew* led_crew = nullptr;

template <class Body>
void with_new_crew(int threads, const Body& body) {
  std::exception_ptr thrown;
  Crew crew(threads);
  Crew* const outer = led_crew;
#pragma omp parallel num_threads(threads)
  {
    if (omp_get_thread_num() == 0) {
      crew.set_threads(omp_get_num_threads());
      led_crew = &crew;
      try {
        body();
      } catch (...) {
        thrown = std::current_exception();
      }
      led_crew = outer;
      crew.dismiss();
    } else {
      crew.follow(omp_get_thread_num());
    }
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

namespace detail {

void call_with_crew(int threads, Call call, const void* body) {
  if (threads <= 1 || (led_crew != nullptr && led_crew->asked() == threads)) return call(body);
  with_new_crew(threads, [&] { call(body); });
}

void run_with_crew(int threads, std::int64_t tasks, TaskRun run, const void* body) noexcept {
  if (led_crew == nullptr || led_crew->asked() != threads) {
    return with_new_crew(threads, [&] { run_with_crew(threads, tasks, run, body); });
  }
  // A loop inside a task gets a crew of its own: this one has its hands full.
  Crew* const crew = std::exchange(led_crew, nullptr);
  crew->lead(tasks, run, body);
  led_crew = crew;
}

}  // namespace detail
}  // namespace quant
