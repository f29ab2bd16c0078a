#include "gguf/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "gguf/cursor.h"

namespace quant {
namespace {

// Value types of the metadata, by their number in the file.
enum class ValueType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMaxKeyBytes = 65535;
constexpr std::uint64_t kMaxTensorNameBytes = 64;
constexpr std::uint32_t kMaxDims = 4;
// Far above the largest vocabulary. Numbers grow to eight bytes in memory, so an array could
// otherwise ask for eight times the size of its file.
constexpr std::uint64_t kMaxArrayElements = std::uint64_t{1} << 24;

std::uint32_t read_version(Cursor& in) {
  if (in.remaining() < 4 || in.read<std::uint32_t>("the magic number") != 0x46554747) {
    in.fail("not a GGUF file");
  }
  const auto version = in.read<std::uint32_t>("the version");
  if (version != 0 && (version & 0xffff) == 0) {
    in.fail("a big-endian GGUF file: only little-endian files are supported");
  }
  if (version == 1) in.fail("GGUF version 1 is not supported: convert the model again");
  if (version != 2 && version != 3) {
    in.fail(fmt::format("GGUF version {} is not supported: versions 2 and 3 are", version));
  }
  return version;
}

std::int64_t read_int(Cursor& in, ValueType type, std::string_view what) {
  switch (type) {
    case ValueType::kUint8:
      return in.read<std::uint8_t>(what);
    case ValueType::kInt8:
      return in.read<std::int8_t>(what);
    case ValueType::kUint16:
      return in.read<std::uint16_t>(what);
    case ValueType::kInt16:
      return in.read<std::int16_t>(what);
    case ValueType::kUint32:
      return in.read<std::uint32_t>(what);
    case ValueType::kInt32:
      return in.read<std::int32_t>(what);
    case ValueType::kInt64:
      return in.read<std::int64_t>(what);
    default:
      break;
  }
  const auto value = in.read<std::uint64_t>(what);
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    in.fail(fmt::format("{} is {}, beyond 63 bits", what, value));
  }
  return static_cast<std::int64_t>(value);
}

double read_float(Cursor& in, ValueType type, std::string_view what) {
  return type == ValueType::kFloat32 ? static_cast<double>(in.read<float>(what))
                                     : in.read<double>(what);
}

bool read_bool(Cursor& in, std::string_view what) {
  const auto value = in.read<std::uint8_t>(what);
  if (value > 1) in.fail(fmt::format("{} is {}, neither true nor false", what, value));
  return value == 1;
}

/// Bytes a value takes at least; 0 for a type that does not exist.
std::uint64_t value_bytes(ValueType type) {
  switch (type) {
    case ValueType::kUint8:
    case ValueType::kInt8:
    case ValueType::kBool:
      return 1;
    case ValueType::kUint16:
    case ValueType::kInt16:
      return 2;
    case ValueType::kUint32:
    case ValueType::kInt32:
    case ValueType::kFloat32:
      return 4;
    case ValueType::kString:
    case ValueType::kUint64:
    case ValueType::kInt64:
    case ValueType::kFloat64:
      return 8;
    case ValueType::kArray:
      return 12;
  }
  return 0;
}

ValueType read_value_type(Cursor& in, std::string_view what) {
  const auto type = in.read<std::uint32_t>(what);
  if (value_bytes(static_cast<ValueType>(type)) == 0) {
    in.fail(fmt::format("{} has the unknown value type {}", what, type));
  }
  return static_cast<ValueType>(type);
}

template <class Read>
auto read_elements(std::uint64_t count, const Read& read) {
  std::vector<decltype(read())> values;
  values.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) values.push_back(read());
  return values;
}

MetadataArray read_array(Cursor& in, std::string_view what) {
  const ValueType type = read_value_type(in, what);
  if (type == ValueType::kArray) in.fail(fmt::format("{} is an array of arrays", what));
  const auto count = in.read_count(value_bytes(type), what);
  if (count > kMaxArrayElements) in.fail(fmt::format("{} has {} elements", what, count));
  switch (type) {
    case ValueType::kString:
      return {read_elements(count, [&] { return in.read_string(what); })};
    case ValueType::kBool:
      return {read_elements(count, [&] { return read_bool(in, what); })};
    case ValueType::kFloat32:
    case ValueType::kFloat64:
      return {read_elements(count, [&] { return read_float(in, type, what); })};
    default:
      return {read_elements(count, [&] { return read_int(in, type, what); })};
  }
}

MetadataValue read_value(Cursor& in, std::string_view what) {
  const ValueType type = read_value_type(in, what);
  switch (type) {
    case ValueType::kString:
      return in.read_string(what);
    case ValueType::kBool:
      return read_bool(in, what);
    case ValueType::kFloat32:
    case ValueType::kFloat64:
      return read_float(in, type, what);
    case ValueType::kArray:
      return read_array(in, what);
    default:
      return read_int(in, type, what);
  }
}

void read_metadata(Cursor& in, std::uint64_t count, GgufContents& contents) {
  std::unordered_set<std::string_view> seen;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string_view key = in.read_string("a metadata key");
    if (key.empty() || key.size() > kMaxKeyBytes) {
      in.fail(fmt::format("a metadata key has {} bytes", key.size()));
    }
    const std::string what = fmt::format("metadata {}", printable(key));
    if (!seen.insert(key).second) in.fail(what + " appears twice");
    contents.metadata.emplace_back(key, read_value(in, what));
  }
}

std::uint64_t alignment_of(const Cursor& in, const GgufContents& contents) {
  const MetadataValue* value = contents.find("general.alignment");
  if (value == nullptr) return kDefaultAlignment;
  const auto* alignment = std::get_if<std::int64_t>(value);
  // The specification asks for a multiple of 8, and ggml for a power of two.
  if (alignment == nullptr || *alignment < 8 || (*alignment & (*alignment - 1)) != 0 ||
      *alignment > std::numeric_limits<std::int32_t>::max()) {
    in.fail("general.alignment is not a power of two from 8 on");
  }
  return static_cast<std::uint64_t>(*alignment);
}

/// A tensor as listed; its data are bound once the start of the data is known.
struct ListedTensor {
  Tensor tensor;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  ///< 0 if the type's size is unknown
};

std::uint64_t tensor_bytes(const Cursor& in, const Tensor& tensor) {
  std::uint64_t values = 1;
  for (const std::uint64_t dim : tensor.dims) {
    // 2^60 values leave room for the bytes of any type in 64 bits.
    if (dim == 0 || dim > (std::uint64_t{1} << 60) / values) {
      in.fail(fmt::format("tensor {} has an impossible shape: {} x {} x {} x {}",
                          printable(tensor.name), tensor.dims[0], tensor.dims[1], tensor.dims[2],
                          tensor.dims[3]));
    }
    values *= dim;
  }
  if (!tensor_type_supported(tensor.type_number)) return 0;
  const TensorTypeInfo& type = tensor_type_info(tensor.type());
  if (tensor.dims[0] % type.block_values != 0) {
    in.fail(fmt::format("tensor {} has rows of {} values, not a multiple of {}'s blocks of {}",
                        printable(tensor.name), tensor.dims[0], type.name, type.block_values));
  }
  return values / type.block_values * type.block_bytes;
}

ListedTensor read_tensor(Cursor& in) {
  ListedTensor listed;
  const std::string_view name = in.read_string("a tensor name");
  if (name.empty() || name.size() > kMaxTensorNameBytes) {
    in.fail(fmt::format("a tensor name has {} bytes", name.size()));
  }
  Tensor& tensor = listed.tensor;
  tensor.name = name;
  const std::string what = fmt::format("tensor {}", printable(name));
  tensor.n_dims = in.read<std::uint32_t>(what);
  if (tensor.n_dims < 1 || tensor.n_dims > kMaxDims) {
    in.fail(fmt::format("{} has {} dimensions", what, tensor.n_dims));
  }
  for (std::uint32_t i = 0; i < tensor.n_dims; ++i) tensor.dims[i] = in.read<std::uint64_t>(what);
  tensor.type_number = in.read<std::uint32_t>(what);
  listed.offset = in.read<std::uint64_t>(what);
  listed.bytes = tensor_bytes(in, tensor);
  return listed;
}

std::vector<ListedTensor> read_tensors(Cursor& in, std::uint64_t count) {
  std::vector<ListedTensor> tensors;
  std::unordered_set<std::string> seen;
  for (std::uint64_t i = 0; i < count; ++i) {
    tensors.push_back(read_tensor(in));
    const std::string& name = tensors.back().tensor.name;
    if (!seen.insert(name).second) {
      in.fail(fmt::format("tensor {} appears twice", printable(name)));
    }
  }
  return tensors;
}

void check_overlaps(const Cursor& in, const std::vector<ListedTensor>& tensors) {
  std::vector<const ListedTensor*> order;
  order.reserve(tensors.size());
  for (const ListedTensor& listed : tensors) order.push_back(&listed);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i]->offset - order[i - 1]->offset < order[i - 1]->bytes) {
      in.fail(fmt::format("tensors {} and {} overlap", printable(order[i - 1]->tensor.name),
                          printable(order[i]->tensor.name)));
    }
  }
}

void bind_data(const Cursor& in, std::span<const std::byte> bytes, std::uint64_t alignment,
               std::vector<ListedTensor>& tensors) {
  const std::uint64_t start = (in.position() + alignment - 1) / alignment * alignment;
  const std::uint64_t available = bytes.size() > start ? bytes.size() - start : 0;
  for (ListedTensor& listed : tensors) {
    const std::string name = printable(listed.tensor.name);
    if (listed.offset % alignment != 0) {
      in.fail(fmt::format("tensor {} is at offset {}, not a multiple of the alignment {}", name,
                          listed.offset, alignment));
    }
    if (listed.offset > available || listed.bytes > available - listed.offset) {
      in.fail(
          fmt::format("tensor {} reaches beyond the end of the file: truncated or damaged", name));
    }
    listed.tensor.data = bytes.subspan(static_cast<std::size_t>(start + listed.offset),
                                       static_cast<std::size_t>(listed.bytes));
  }
}

}  // namespace

const MetadataValue* GgufContents::find(std::string_view key) const noexcept {
  for (const auto& [name, value] : metadata) {
    if (name == key) return &value;
  }
  return nullptr;
}

GgufContents parse_gguf(const MappedFile& file) {
  Cursor in(file.bytes(), file.path());
  GgufContents contents;
  contents.version = read_version(in);
  // A tensor takes at least its name's length, a byte of name, dimensions, type and offset; a
  // metadata pair its key's length, a byte of key, a type and a byte of value.
  const auto n_tensors = in.read_count(8 + 1 + 4 + 8 + 4 + 8, "the tensor count");
  const auto n_metadata = in.read_count(8 + 1 + 4 + 1, "the metadata count");
  read_metadata(in, n_metadata, contents);
  const std::uint64_t alignment = alignment_of(in, contents);
  std::vector<ListedTensor> tensors = read_tensors(in, n_tensors);
  bind_data(in, file.bytes(), alignment, tensors);
  check_overlaps(in, tensors);
  for (ListedTensor& listed : tensors) contents.tensors.push_back(std::move(listed.tensor));
  return contents;
}

}  // namespace quant
