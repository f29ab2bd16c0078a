#include "console.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace quant::tool {
namespace {

constexpr int kBarCells = 30;
constexpr double kRedrawSeconds = 0.1;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

void set_up_console() {
  const char* no_color = std::getenv("NO_COLOR");
  const bool plain = no_color != nullptr && *no_color != '\0';
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
      plain ? spdlog::color_mode::never : spdlog::color_mode::automatic);
  auto logger = std::make_shared<spdlog::logger>("quant", std::move(sink));
  logger->set_pattern("%n: %^%l%$: %v");
  spdlog::set_default_logger(std::move(logger));
}

void warn(const std::string& message) { spdlog::warn("{}", message); }
void note(const std::string& message) { spdlog::info("{}", message); }
void report_error(const std::string& message) { spdlog::error("{}", message); }

bool stdin_is_piped() {
  struct stat info {};
  if (::fstat(STDIN_FILENO, &info) != 0) return false;
  return S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode) || S_ISSOCK(info.st_mode);
}

ProgressBar::ProgressBar(std::string_view label)
    : label_(label), visible_(::isatty(STDERR_FILENO) != 0), began_(seconds_now()) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::clear() {
  if (visible_ && drawn_ > 0.0) std::fputs("\r\033[K", stderr);
  drawn_ = 0.0;
}

double ProgressBar::seconds_left() const {
  return share_ > 0.0 ? (seconds_now() - began_) * (1.0 - share_) / share_ : 0.0;
}

void ProgressBar::update(std::int64_t done, std::int64_t total) {
  if (total <= 0) return;
  share_ = static_cast<double>(done) / static_cast<double>(total);
  const double now = seconds_now();
  if (!visible_ || now - drawn_ < kRedrawSeconds) return;
  drawn_ = now;
  const int full = static_cast<int>(share_ * kBarCells);
  fmt::print(stderr, "\r\033[K{} [{:#<{}}{:.<{}}] {:3.0f} %  {} left", label_, "", full, "",
             kBarCells - full, 100.0 * share_, format_duration(seconds_left()));
  std::fflush(stderr);
}

std::string counted(std::int64_t n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

std::string format_bytes(double bytes) {
  constexpr double kMiB = 1 << 20;
  constexpr double kGiB = 1 << 30;
  return bytes < kGiB ? fmt::format("{:.1f} MiB", bytes / kMiB)
                      : fmt::format("{:.2f} GiB", bytes / kGiB);
}

std::string format_duration(double seconds) {
  if (seconds < 100.0) return fmt::format("{:.0f} s", seconds);
  if (seconds < 6000.0) return fmt::format("{:.0f} min", seconds / 60.0);
  return fmt::format("{:.1f} h", seconds / 3600.0);
}

}  // namespace quant::tool
