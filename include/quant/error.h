// Errors that the library reports. The library never prints and never ends the process; a tool
// turns an Error into one line on stderr and the exit code of its kind.
#pragma once

#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>

namespace quant {

/// What went wrong, valued as the exit code of the command line.
enum class ErrorKind : int {
  kEvaluation = 1,  ///< a measurement failed: a regression, or a value that is not finite
  kUsage = 2,       ///< an option or argument that cannot be used
  kModel = 3,       ///< an unsupported or inconsistent model file
  kIo = 4,          ///< a file that cannot be opened, read or written
};

/// One line that names the thing at fault and says what to do. Thrown only where things are
/// loaded, parsed, constructed or measured; hot paths are noexcept.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }
  int exit_code() const noexcept { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

/// Memory that the system did not give.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::size_t bytes) noexcept : bytes_(bytes) {}
  /// What was asked for at once.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::size_t bytes_;
};

}  // namespace quant
