// Runs the quant command of this build as a user would.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/gguf_writer.h"
#include "support/paths.h"

namespace quant::test {

struct CommandResult {
  int exit_code = -1;  ///< -1 if a signal ended it
  int signal = 0;
  std::string out;
  std::string err;

  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

/// One run of the command. Standard input is /dev/null unless something is piped in.
class Command {
 public:
  explicit Command(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}
  ~Command() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  Command& pipe_in(std::string text) {
    input_ = std::move(text);
    return *this;
  }
  Command& in_directory(const std::filesystem::path& path) {
    directory_ = path;
    return *this;
  }
  Command& with_environment(const std::string& name, const std::string& value) {
    environment_.emplace_back(name, value);
    return *this;
  }
  /// Sends standard output there instead of capturing it.
  Command& out_to(int descriptor) {
    out_descriptor_ = descriptor;
    return *this;
  }

  CommandResult run() {
    start();
    return wait();
  }

  void start() {
    int input[2] = {-1, -1};
    if (input_.has_value() && ::pipe2(input, O_CLOEXEC) != 0) std::abort();
    write_file(out_path(), "");
    write_file(err_path(), "");
    pid_ = ::fork();
    if (pid_ == 0) become_quant(input);
    if (!input_.has_value()) return;
    ::close(input[0]);
    ::signal(SIGPIPE, SIG_IGN);
    for (std::size_t at = 0; at < input_->size();) {
      const ssize_t n = ::write(input[1], input_->data() + at, input_->size() - at);
      if (n <= 0) break;  // the command has ended without reading all of it
      at += static_cast<std::size_t>(n);
    }
    ::close(input[1]);
  }

  void interrupt() { ::kill(pid_, SIGINT); }
  /// Ends it as kill -9 or a crash of the machine would.
  void kill() { ::kill(pid_, SIGKILL); }

  /// Everything it has written to standard output so far.
  std::string out_so_far() const { return read_file(out_path()); }

  /// Waits for the end; kills the command and fails the test after `limit`.
  CommandResult wait(std::chrono::seconds limit = std::chrono::seconds(120)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    int status = 0;
    while (::waitpid(pid_, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "quant did not end within " << limit.count() << " s";
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, &status, 0);
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    pid_ = 0;
    CommandResult result;
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    result.out = read_file(out_path());
    result.err = read_file(err_path());
    return result;
  }

 private:
  std::filesystem::path out_path() const { return dir_.path() / "stdout"; }
  std::filesystem::path err_path() const { return dir_.path() / "stderr"; }

  [[noreturn]] void become_quant(const int (&input)[2]) const {
    const int in = input_.has_value() ? input[0] : ::open("/dev/null", O_RDONLY);
    ::dup2(in, STDIN_FILENO);
    const int out = ::open(out_path().c_str(), O_WRONLY);
    const int err = ::open(err_path().c_str(), O_WRONLY);
    ::dup2(out_descriptor_ >= 0 ? out_descriptor_ : out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::signal(SIGPIPE, SIG_DFL);
    if (!directory_.empty()) std::filesystem::current_path(directory_);
    for (const auto& [name, value] : environment_) ::setenv(name.c_str(), value.c_str(), 1);
    const std::string binary = quant_binary().string();
    std::vector<char*> argv = {const_cast<char*>(binary.c_str())};
    for (const std::string& argument : arguments_) {
      argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    ::execv(binary.c_str(), argv.data());
    ::_exit(127);
  }

  std::vector<std::string> arguments_;
  std::optional<std::string> input_;
  std::filesystem::path directory_;
  std::vector<std::pair<std::string, std::string>> environment_;
  int out_descriptor_ = -1;
  pid_t pid_ = 0;
  TempDir dir_;
};

inline CommandResult run_quant(std::vector<std::string> arguments) {
  return Command(std::move(arguments)).run();
}

/// Expects a refusal: the exit code, nothing on stdout, one line on stderr that contains all the
/// texts.
inline void expect_refusal(const CommandResult& result, int exit_code,
                           const std::vector<std::string>& texts) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_TRUE(result.err.starts_with("quant: error: ")) << result.err;
  for (const std::string& text : texts) {
    EXPECT_NE(result.err.find(text), std::string::npos) << result.err << "lacks: " << text;
  }
}

/// Expects success with nothing said beside the result.
inline void expect_quiet_success(const CommandResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
}

}  // namespace quant::test
