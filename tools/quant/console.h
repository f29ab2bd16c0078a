// The terminal: results go to stdout, everything else to stderr.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quant::tool {

/// Prepares stderr messages; colours only on a terminal and without NO_COLOR.
void set_up_console();
void warn(const std::string& message);
void note(const std::string& message);
void report_error(const std::string& message);

/// "40 s", "12 min", "3.5 h".
std::string format_duration(double seconds);

/// "512.0 MiB", "7.00 GiB".
std::string format_bytes(double bytes);

/// "1 thread", "2 threads".
std::string counted(std::int64_t n, std::string_view noun);

/// Standard input is a pipe, a file or a socket: something was given on purpose.
bool stdin_is_piped();

/// A progress bar with the time left on stderr, drawn only if that is a terminal.
class ProgressBar {
 public:
  explicit ProgressBar(std::string_view label);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void update(std::int64_t done, std::int64_t total);
  /// Takes the bar off its line, so that something else can be said; the next update draws it.
  void clear();
  /// From what the last update said.
  double seconds_left() const;

 private:
  std::string label_;
  bool visible_;
  double began_;
  double drawn_ = 0.0;  ///< when; 0 = it is not on the screen
  double share_ = 0.0;
};

}  // namespace quant::tool
