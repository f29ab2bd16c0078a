#include "base/parallel.h"

#include <atomic>
#include <exception>

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

/// The leader publishes a loop by raising `round`; everybody takes shares of it until none is left,
/// and the leader goes on when all others have reported.
class Crew {
 public:
  explicit Crew(int threads) noexcept : threads_(threads) {}
  int threads() const noexcept { return threads_; }

  void lead(std::int64_t tasks, std::int64_t share, detail::TaskRun run,
            const void* body) noexcept {
    tasks_ = tasks;
    share_ = share;
    run_ = run;
    body_ = body;
    next_.store(0, std::memory_order_relaxed);
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
    for (;;) {
      const std::int64_t begin = next_.fetch_add(share_, std::memory_order_relaxed);
      if (begin >= tasks_) return;
      run_(body_, begin, begin + share_ < tasks_ ? begin + share_ : tasks_, thread);
    }
  }

  const int threads_;
  std::int64_t tasks_ = 0;
  std::int64_t share_ = 1;
  detail::TaskRun run_ = nullptr;
  const void* body_ = nullptr;
  // On cache lines of their own: followers watch one while others write the next.
  alignas(64) std::atomic<int> round_{0};
  alignas(64) std::atomic<std::int64_t> next_{0};
  alignas(64) std::atomic<int> reported_{0};
};

/// The crew that this thread leads.
thread_local Crew* led_crew = nullptr;

}  // namespace

void with_crew(int threads, const std::function<void()>& body) {
  if (threads <= 1 || led_crew != nullptr) return body();
  std::exception_ptr thrown;
  Crew crew(threads);
#pragma omp parallel num_threads(threads)
  {
    if (omp_get_thread_num() == 0) {
      // OpenMP may give fewer threads than were asked for; then nobody would report.
      led_crew = omp_get_num_threads() == threads ? &crew : nullptr;
      try {
        body();
      } catch (...) {
        thrown = std::current_exception();
      }
      led_crew = nullptr;
      crew.dismiss();
    } else {
      crew.follow(omp_get_thread_num());
    }
  }
  if (thrown) std::rethrow_exception(thrown);
}

namespace detail {

bool run_with_crew(int threads, std::int64_t tasks, std::int64_t share, TaskRun run,
                   const void* body) noexcept {
  if (led_crew == nullptr || led_crew->threads() != threads) return false;
  led_crew->lead(tasks, share, run, body);
  return true;
}

}  // namespace detail
}  // namespace quant
