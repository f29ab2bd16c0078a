#include "gguf/gguf.h"

#include <fmt/format.h>

#include <filesystem>

#include "gguf/cursor.h"
#include "gguf/parse.h"
#include "quant/error.h"

namespace quant {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& problem) {
  throw Error(ErrorKind::kModel, fmt::format("{}: {}", path, problem));
}

/// An unsigned number of a split file's metadata; absent means `fallback`.
std::int64_t split_number(const std::string& path, const GgufContents& contents,
                          std::string_view key, std::int64_t fallback) {
  const MetadataValue* value = contents.find(key);
  if (value == nullptr) return fallback;
  const auto* number = std::get_if<std::int64_t>(value);
  if (number == nullptr || *number < 0 || *number > 99999) {
    fail(path, fmt::format("metadata {} is not a small number", key));
  }
  return *number;
}

std::string split_suffix(std::int64_t number, std::int64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
}

/// The path without "-00001-of-0000N.gguf". Throws if this is not the first part of `count`.
std::string split_prefix(const std::string& path, std::int64_t number, std::int64_t count) {
  const std::string suffix = split_suffix(number, count);
  if (number >= count || !path.ends_with(suffix)) {
    fail(path, fmt::format("is part {} of {} by its metadata, so its name must end in {}",
                           number + 1, count, split_suffix(number, count)));
  }
  std::string prefix = path.substr(0, path.size() - suffix.size());
  if (number != 0) {
    fail(path, fmt::format("is part {} of {}: open the first part, {}{}", number + 1, count, prefix,
                           split_suffix(0, count)));
  }
  return prefix;
}

MappedFile open_part(const std::string& first, const std::string& path, std::int64_t number,
                     std::int64_t count) {
  if (std::error_code ignored; !std::filesystem::exists(path, ignored)) {
    throw Error(ErrorKind::kIo,
                fmt::format("{}: part {} of {} is missing: {}", first, number + 1, count, path));
  }
  return MappedFile(path);
}

template <class T>
const T* typed(const std::string& path, const MetadataValue* value, std::string_view key,
               std::string_view expected) {
  if (value == nullptr) return nullptr;
  const T* result = std::get_if<T>(value);
  if (result == nullptr) fail(path, fmt::format("metadata {} is not {}", key, expected));
  return result;
}

template <class T>
const std::vector<T>* typed_array(const std::string& path, const MetadataValue* value,
                                  std::string_view key, std::string_view expected) {
  const auto* array = typed<MetadataArray>(path, value, key, expected);
  if (array == nullptr) return nullptr;
  const auto* result = std::get_if<std::vector<T>>(&array->values);
  if (result == nullptr) fail(path, fmt::format("metadata {} is not {}", key, expected));
  return result;
}

template <class T>
T required(const std::string& path, std::string_view key, std::optional<T> value) {
  if (!value) fail(path, fmt::format("metadata {} is missing", key));
  return *value;
}

}  // namespace

std::size_t MetadataArray::size() const {
  return std::visit([](const auto& v) { return v.size(); }, values);
}

GgufFile GgufFile::open(const std::string& path) {
  GgufFile file;
  file.path_ = path;
  file.parts_.emplace_back(path);
  GgufContents first = parse_gguf(file.parts_.front());
  file.version_ = first.version;
  file.tensors_ = std::move(first.tensors);

  const std::int64_t count = split_number(path, first, "split.count", 1);
  if (count > 1) {
    const std::int64_t number = split_number(path, first, "split.no", 0);
    const std::string prefix = split_prefix(path, number, count);
    for (std::int64_t i = 1; i < count; ++i) {
      const std::string part_path = prefix + split_suffix(i, count);
      file.parts_.push_back(open_part(path, part_path, i, count));
      GgufContents part = parse_gguf(file.parts_.back());
      if (split_number(part_path, part, "split.no", 0) != i ||
          split_number(part_path, part, "split.count", 1) != count) {
        fail(part_path, fmt::format("is not part {} of {} by its metadata", i + 1, count));
      }
      for (Tensor& tensor : part.tensors) file.tensors_.push_back(std::move(tensor));
    }
    const auto total = static_cast<std::int64_t>(file.tensors_.size());
    if (split_number(path, first, "split.tensors.count", total) != total) {
      fail(path, fmt::format("the {} parts together have {} tensors, not split.tensors.count",
                             count, total));
    }
  }

  file.metadata_ = std::move(first.metadata);
  for (std::size_t i = 0; i < file.metadata_.size(); ++i) {
    file.metadata_index_.emplace(file.metadata_[i].first, i);
  }
  for (std::size_t i = 0; i < file.tensors_.size(); ++i) {
    if (!file.tensor_index_.emplace(file.tensors_[i].name, i).second) {
      fail(path, fmt::format("tensor {} is in two parts", printable(file.tensors_[i].name)));
    }
  }
  return file;
}

std::vector<std::string> GgufFile::part_paths() const {
  std::vector<std::string> paths;
  for (const MappedFile& part : parts_) paths.push_back(part.path());
  return paths;
}

std::uint64_t GgufFile::file_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const MappedFile& part : parts_) bytes += part.bytes().size();
  return bytes;
}

const Tensor* GgufFile::find_tensor(std::string_view name) const noexcept {
  const auto it = tensor_index_.find(name);
  return it == tensor_index_.end() ? nullptr : &tensors_[it->second];
}

const MetadataValue* GgufFile::find(std::string_view key) const noexcept {
  const auto it = metadata_index_.find(key);
  return it == metadata_index_.end() ? nullptr : &metadata_[it->second].second;
}

std::optional<std::int64_t> GgufFile::get_int(std::string_view key) const {
  const auto* value = typed<std::int64_t>(path_, find(key), key, "an integer");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<double> GgufFile::get_float(std::string_view key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* integer = std::get_if<std::int64_t>(value)) return static_cast<double>(*integer);
  return *typed<double>(path_, value, key, "a number");
}

std::optional<bool> GgufFile::get_bool(std::string_view key) const {
  const auto* value = typed<bool>(path_, find(key), key, "true or false");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::string_view> GgufFile::get_string(std::string_view key) const {
  const auto* value = typed<std::string_view>(path_, find(key), key, "a string");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

const std::vector<std::string_view>* GgufFile::get_strings(std::string_view key) const {
  return typed_array<std::string_view>(path_, find(key), key, "an array of strings");
}

const std::vector<std::int64_t>* GgufFile::get_ints(std::string_view key) const {
  return typed_array<std::int64_t>(path_, find(key), key, "an array of integers");
}

const std::vector<double>* GgufFile::get_floats(std::string_view key) const {
  return typed_array<double>(path_, find(key), key, "an array of floats");
}

std::int64_t GgufFile::require_int(std::string_view key) const {
  return required(path_, key, get_int(key));
}

double GgufFile::require_float(std::string_view key) const {
  return required(path_, key, get_float(key));
}

std::string_view GgufFile::require_string(std::string_view key) const {
  return required(path_, key, get_string(key));
}

}  // namespace quant
