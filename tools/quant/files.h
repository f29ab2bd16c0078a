// Reading texts and writing results.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quant::tool {

/// The whole file, or standard input for "-". Throws Error(kIo).
std::string read_text(const std::string& path);
/// Throws Error(kIo) if write_file would fail for the path's sake, before hours are spent on what
/// to write.
void check_writable(const std::string& path);
/// Writes to a temporary file beside the target and renames it: the old file survives a failure.
/// Throws Error(kIo).
void write_file(const std::string& path, std::string_view contents);
/// Adds to the end of a file, which need not exist. Throws Error(kIo).
void append_file(const std::string& path, std::string_view contents);

std::string sha256_of(std::string_view bytes);
/// Of the files one after the other. Throws Error(kIo).
std::string sha256_of_files(const std::vector<std::string>& paths);

}  // namespace quant::tool
