// Reading texts and writing results.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quant::tool {

/// The whole file, or standard input for "-". Throws Error(kIo).
std::string read_text(const std::string& path);
/// Throws Error(kIo) if write_file would fail for the path's sake, before hours are spent on what
/// to write.
void check_writable(const std::string& path);
/// A file that is written piece by piece into a temporary file beside the target, which commit()
/// renames: the old file survives a failure, and an interrupt leaves nothing half-written. Devices
/// and pipes are written directly.
class OutputFile {
 public:
  /// Throws Error(kIo).
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  /// Throws Error(kIo).
  void write(std::string_view bytes);
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// To standard output, with all that has been printed before. Throws Error(kIo).
void print_now(std::string_view text);
/// The whole file at once. Throws Error(kIo).
void write_file(const std::string& path, std::string_view contents);
/// Adds to the end of a file, which need not exist. Throws Error(kIo).
void append_file(const std::string& path, std::string_view contents);

std::string sha256_of(std::string_view bytes);
/// Of the files one after the other. Throws Error(kIo).
std::string sha256_of_files(const std::vector<std::string>& paths);

}  // namespace quant::tool
