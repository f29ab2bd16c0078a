// GGUF versions 2 and 3, read from a memory map and checked before anything is used.
// Format: the GGUF specification in the ggml project's docs/gguf.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/mapped_file.h"

namespace quant {

/// Tensor types by their number in the file. Types that are not listed are refused by number or,
/// where ggml gave them a name, by name.
enum class TensorType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kBF16 = 30,
};

struct TensorTypeInfo {
  std::string_view name;       ///< as ggml prints it: "Q4_K"
  std::uint32_t block_values;  ///< values a block
  std::uint32_t block_bytes;   ///< bytes a block
};
const TensorTypeInfo& tensor_type_info(TensorType type);
/// ggml's name of a type number, also of types that are not supported; "type 99" if unknown.
std::string tensor_type_name(std::uint32_t number);
/// Whether quant can compute with the type.
bool tensor_type_supported(std::uint32_t number) noexcept;

/// One tensor. dims[0] is the contiguous dimension, as in the file; unused dims are 1.
struct Tensor {
  std::string name;
  std::uint32_t type_number = 0;  ///< as stored; see type()
  std::uint64_t dims[4] = {1, 1, 1, 1};
  std::uint32_t n_dims = 0;
  std::span<const std::byte> data;  ///< into the map

  /// Throws Error(kModel) that names tensor and type if the type is not supported.
  TensorType type() const;
  std::uint64_t values() const noexcept { return dims[0] * dims[1] * dims[2] * dims[3]; }
};

/// A metadata array. Numbers keep the width of the file; strings are views into the map.
struct MetadataArray {
  std::variant<std::vector<std::string_view>, std::vector<std::int64_t>, std::vector<double>,
               std::vector<bool>>
      values;
  std::size_t size() const;
};
/// Integers of any width become int64 (uint64 above its range is refused), floats become double.
using MetadataValue = std::variant<std::int64_t, double, bool, std::string_view, MetadataArray>;

/// A model or vocabulary file, or a whole set of split files (-00001-of-0000N.gguf, opened by the
/// first). Every offset, length, count, type and alignment is checked against the file when it is
/// opened; tensors of unsupported types may be listed but not used (Tensor::type throws).
class GgufFile {
 public:
  /// Throws Error(kIo) if a file cannot be read, Error(kModel) if it is not a sound GGUF file.
  static GgufFile open(const std::string& path);

  const std::string& path() const noexcept { return path_; }
  std::uint32_t version() const noexcept { return version_; }
  /// Paths of all parts, the first first; one element for a file that is not split.
  std::vector<std::string> part_paths() const;
  /// Bytes of all parts together.
  std::uint64_t file_bytes() const noexcept;

  const std::vector<Tensor>& tensors() const noexcept { return tensors_; }
  const Tensor* find_tensor(std::string_view name) const noexcept;

  const std::vector<std::pair<std::string, MetadataValue>>& metadata() const noexcept {
    return metadata_;
  }
  const MetadataValue* find(std::string_view key) const noexcept;

  // Typed access. `get_*` return nullopt if the key is absent and throw Error(kModel) that names
  // the key if it has another type or an impossible value; `require_*` throw if it is absent.
  std::optional<std::int64_t> get_int(std::string_view key) const;
  std::optional<double> get_float(std::string_view key) const;  // integers are accepted
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string_view> get_string(std::string_view key) const;
  const std::vector<std::string_view>* get_strings(std::string_view key) const;
  const std::vector<std::int64_t>* get_ints(std::string_view key) const;
  const std::vector<double>* get_floats(std::string_view key) const;
  std::int64_t require_int(std::string_view key) const;
  double require_float(std::string_view key) const;
  std::string_view require_string(std::string_view key) const;

 private:
  std::string path_;
  std::uint32_t version_ = 0;
  std::vector<MappedFile> parts_;
  std::vector<std::pair<std::string, MetadataValue>> metadata_;
  std::unordered_map<std::string_view, std::size_t> metadata_index_;
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> tensor_index_;
};

}  // namespace quant
