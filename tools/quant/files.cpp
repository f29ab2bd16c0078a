#include "files.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "quant/error.h"
#include "unfinished_files.h"

namespace quant::tool {
namespace {

constexpr std::size_t kBuffer = 1 << 20;

[[noreturn]] void fail(const std::string& path, int code) {
  throw Error(ErrorKind::kIo, fmt::format("{}: {}", path, std::strerror(code)));
}

/// Something that exists and is no regular file.
bool is_device(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::exists(path, unknown) && !std::filesystem::is_regular_file(path, unknown);
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

File open_for_reading(const std::string& path) {
  std::error_code unknown;  // opening says it better
  if (std::filesystem::is_directory(path, unknown)) fail(path, EISDIR);
  File file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) fail(path, errno);
  return file;
}

/// Calls take(data, n) for all bytes of the file.
template <class Take>
void read_all(std::FILE* file, const std::string& name, const Take& take) {
  std::vector<char> buffer(kBuffer);
  std::size_t n = 0;
  while ((n = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) take(buffer.data(), n);
  if (std::ferror(file) != 0) fail(name, errno);
}

bool write_all(std::FILE* file, std::string_view contents) {
  return std::fwrite(contents.data(), 1, contents.size(), file) == contents.size() &&
         std::fflush(file) == 0;
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
      throw Error(ErrorKind::kIo, "SHA-256 is not available in libcrypto");
    }
  }
  void add(const char* data, std::size_t n) { EVP_DigestUpdate(context_.get(), data, n); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &length);
    std::string text;
    for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string read_text(const std::string& path) {
  std::string text;
  const auto take = [&](const char* data, std::size_t n) { text.append(data, n); };
  if (path == "-") {
    read_all(stdin, "standard input", take);
  } else {
    read_all(open_for_reading(path).get(), path, take);
  }
  return text;
}

void check_writable(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code unknown;  // writing says it better
  if (fs::is_directory(path, unknown)) fail(path, EISDIR);
  const bool device = is_device(path);
  const fs::path parent = fs::path(path).parent_path();
  const fs::path written = device ? fs::path(path) : parent.empty() ? fs::path(".") : parent;
  if (::access(written.c_str(), W_OK) != 0) fail(path, errno);
}

struct OutputFile::State {
  explicit State(const std::string& target)
      : path(target), written(is_device(path) ? path : fmt::format("{}.{}.tmp", path, ::getpid())) {
    if (is_temporary()) begin_file(written.c_str());
  }
  ~State() {
    if (!is_temporary()) return;
    std::remove(written.c_str());  // of a failure, if it is there
    finish_file(written.c_str());
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  bool is_temporary() const { return written != path; }

  const std::string path;
  const std::string written;  // the path itself, or the temporary file
  File file;
};

OutputFile::OutputFile(const std::string& path) : state_(std::make_unique<State>(path)) {
  state_->file.reset(std::fopen(state_->written.c_str(), "wb"));
  if (state_->file == nullptr) fail(path, errno);
}

OutputFile::~OutputFile() = default;

void OutputFile::write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), state_->file.get()) != bytes.size()) {
    fail(state_->path, errno);
  }
}

void OutputFile::commit() {
  if (std::fflush(state_->file.get()) != 0) fail(state_->path, errno);
  if (!state_->is_temporary()) return;
  // On the disk before it has its name: not even a power cut leaves half a file.
  if (::fsync(::fileno(state_->file.get())) != 0) fail(state_->path, errno);
  if (std::rename(state_->written.c_str(), state_->path.c_str()) != 0) fail(state_->path, errno);
}

void print_now(std::string_view text) {
  if (!write_all(stdout, text)) fail("standard output", errno);
  if (std::ferror(stdout) != 0) fail("standard output", EIO);  // an earlier write, its reason gone
}

void write_file(const std::string& path, std::string_view contents) {
  OutputFile file(path);
  file.write(contents);
  file.commit();
}

void append_file(const std::string& path, std::string_view contents) {
  File file(std::fopen(path.c_str(), "ab"));
  if (file == nullptr || !write_all(file.get(), contents)) fail(path, errno);
}

std::string sha256_of(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes.data(), bytes.size());
  return hash.hex();
}

std::string sha256_of_files(const std::vector<std::string>& paths) {
  Sha256 hash;
  for (const std::string& path : paths) {
    read_all(open_for_reading(path).get(), path,
             [&](const char* data, std::size_t n) { hash.add(data, n); });
  }
  return hash.hex();
}

}  // namespace quant::tool
