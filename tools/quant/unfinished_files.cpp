#include "unfinished_files.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>

namespace quant::tool {
namespace {

/// What a signal handler may read: no locks, no allocation.
std::array<std::atomic<const char*>, 8> unfinished{};
static_assert(std::atomic<const char*>::is_always_lock_free);

extern "C" void remove_unfinished(int signal) {
  for (const std::atomic<const char*>& slot : unfinished) {
    if (const char* path = slot.load()) ::unlink(path);
  }
  // The handler is gone by now: the process ends as if there had been none.
  ::raise(signal);
}

void install_handlers() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    // What is ignored, as SIGHUP under nohup, stays ignored.
    if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action.sa_handler = remove_unfinished;
    action.sa_flags = SA_RESETHAND;
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace

void begin_file(const char* path) noexcept {
  static const bool installed = (install_handlers(), true);
  static_cast<void>(installed);
  for (std::atomic<const char*>& slot : unfinished) {
    const char* free = nullptr;
    if (slot.compare_exchange_strong(free, path)) return;
  }
}

void finish_file(const char* path) noexcept {
  for (std::atomic<const char*>& slot : unfinished) {
    const char* expected = path;
    if (slot.compare_exchange_strong(expected, nullptr)) return;
  }
}

}  // namespace quant::tool
