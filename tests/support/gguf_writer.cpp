#include "support/gguf_writer.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace quant::test {
namespace {

void pad(std::string& out, std::size_t alignment) {
  out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
}

}  // namespace

void put_string(std::string& out, std::string_view text) {
  put<std::uint64_t>(out, text.size());
  out += text;
}

GgufWriter& GgufWriter::add_raw(const std::string& key, const std::string& type_and_value) {
  metadata_.emplace_back(key, type_and_value);
  return *this;
}

GgufWriter& GgufWriter::remove(const std::string& key) {
  std::erase_if(metadata_, [&](const auto& pair) { return pair.first == key; });
  return *this;
}

GgufWriter& GgufWriter::add_tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                                   std::uint32_t type, std::string data) {
  tensors_.push_back({name, dims, type, std::move(data)});
  return *this;
}

GgufWriter& GgufWriter::add_tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                                   const std::vector<float>& values) {
  std::string data;
  for (const float value : values) put(data, value);
  return add_tensor(name, dims, static_cast<std::uint32_t>(TensorType::kF32), std::move(data));
}

GgufWriter& GgufWriter::remove_tensor(const std::string& name) {
  std::erase_if(tensors_, [&](const StoredTensor& tensor) { return tensor.name == name; });
  return *this;
}

GgufWriter& GgufWriter::align(std::uint32_t alignment) {
  alignment_ = alignment;
  return add("general.alignment", alignment);
}

std::string GgufWriter::bytes() const {
  std::string out = "GGUF";
  put(out, version_);
  put<std::uint64_t>(out, tensors_.size());
  put<std::uint64_t>(out, metadata_.size());
  for (const auto& [key, value] : metadata_) {
    put_string(out, key);
    out += value;
  }
  std::string data;
  for (const StoredTensor& tensor : tensors_) {
    pad(data, alignment_);
    put_string(out, tensor.name);
    put(out, static_cast<std::uint32_t>(tensor.dims.size()));
    for (const std::uint64_t dim : tensor.dims) put(out, dim);
    put(out, tensor.type);
    put<std::uint64_t>(out, data.size());
    data += tensor.data;
  }
  pad(out, alignment_);
  return out + data;
}

void GgufWriter::write(const std::filesystem::path& path) const { write_file(path, bytes()); }

std::vector<std::filesystem::path> GgufWriter::write_split(const std::filesystem::path& dir,
                                                           const std::string& stem,
                                                           int parts) const {
  std::vector<std::filesystem::path> paths;
  const std::size_t n_parts = static_cast<std::size_t>(parts);
  for (std::size_t i = 0; i < n_parts; ++i) {
    GgufWriter part(version_);
    if (i == 0) {
      part.metadata_ = metadata_;
      part.alignment_ = alignment_;
    }
    part.add("split.no", static_cast<std::uint16_t>(i));
    part.add("split.count", static_cast<std::uint16_t>(parts));
    part.add("split.tensors.count", static_cast<std::int32_t>(tensors_.size()));
    const std::size_t begin = tensors_.size() * i / n_parts;
    const std::size_t end = tensors_.size() * (i + 1) / n_parts;
    for (std::size_t t = begin; t < end; ++t) part.tensors_.push_back(tensors_[t]);
    paths.push_back(dir / fmt::format("{}-{:05}-of-{:05}.gguf", stem, i + 1, parts));
    part.write(paths.back());
  }
  return paths;
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace quant::test
