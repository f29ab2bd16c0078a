// Stored weights for tests: random blocks, and what each value means by the format's definition,
// one value at a time in double precision. Written from ggml's block layouts, apart from src/.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/splitmix64.h"
#include "kernels/kernels.h"

namespace quant::test {

/// One stored value: scale·code + minimum.
struct StoredValue {
  int code = 0;
  double scale = 0.0;
  double minimum = 0.0;
  double value() const { return scale * code + minimum; }
};

inline double half_at(const std::uint8_t* p) {
  return static_cast<double>(half_to_float(static_cast<std::uint16_t>(p[0] | (p[1] << 8))));
}
inline int bits_at(int byte, int shift, int count) { return (byte >> shift) & ((1 << count) - 1); }

inline int iq4_level(int index) {
  constexpr int kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
  return kLevels[index];
}

/// Value k of 32: the low nibbles are the first 16 values.
inline int nibble_of_32(const std::uint8_t* bytes, int k) {
  return k < 16 ? bytes[k] & 15 : bytes[k - 16] >> 4;
}

inline StoredValue stored_in_32(TensorType type, const std::uint8_t* b, int k) {
  switch (type) {
    case TensorType::kQ4_0:
      return {nibble_of_32(b + 2, k) - 8, half_at(b), 0.0};
    case TensorType::kQ4_1:
      return {nibble_of_32(b + 4, k), half_at(b), half_at(b + 2)};
    case TensorType::kQ5_0:
      return {(nibble_of_32(b + 6, k) | (bits_at(b[2 + k / 8], k % 8, 1) << 4)) - 16, half_at(b),
              0.0};
    case TensorType::kQ5_1:
      return {nibble_of_32(b + 8, k) | (bits_at(b[4 + k / 8], k % 8, 1) << 4), half_at(b),
              half_at(b + 2)};
    case TensorType::kQ8_0:
      return {static_cast<std::int8_t>(b[2 + k]), half_at(b), 0.0};
    default:  // IQ4_NL
      return {iq4_level(nibble_of_32(b + 2, k)), half_at(b), 0.0};
  }
}

/// The 6-bit scale and minimum of sub-block j in the 12 bytes p of Q4_K and Q5_K.
inline void k_scale(const std::uint8_t* p, int j, int* scale, int* minimum) {
  if (j < 4) {
    *scale = p[j] & 63;
    *minimum = p[j + 4] & 63;
  } else {
    *scale = (p[j + 4] & 15) | (bits_at(p[j - 4], 6, 2) << 4);
    *minimum = (p[j + 4] >> 4) | (bits_at(p[j], 6, 2) << 4);
  }
}

inline StoredValue stored_in_256(TensorType type, const std::uint8_t* b, int k) {
  const int half = k / 128;          // 128 values
  const int quarter = k % 128 / 32;  // 32 values in it
  const int column = k % 32;
  switch (type) {
    case TensorType::kQ2_K: {
      const int code = bits_at(b[16 + 32 * half + column], 2 * quarter, 2);
      return {code, half_at(b + 80) * (b[k / 16] & 15), -(half_at(b + 82) * (b[k / 16] >> 4))};
    }
    case TensorType::kQ3_K: {
      const int low = bits_at(b[32 + 32 * half + column], 2 * quarter, 2);
      const int high = bits_at(b[column], 4 * half + quarter, 1);
      const int j = k / 16;
      const std::uint8_t* scales = b + 96;
      const int scale = (j < 8 ? scales[j] & 15 : scales[j - 8] >> 4) |
                        (bits_at(scales[8 + j % 4], 2 * (j / 4), 2) << 4);
      return {low - (high != 0 ? 0 : 4), half_at(b + 108) * (scale - 32), 0.0};
    }
    case TensorType::kQ4_K:
    case TensorType::kQ5_K: {
      int scale = 0;
      int minimum = 0;
      k_scale(b + 4, k / 32, &scale, &minimum);
      const bool five = type == TensorType::kQ5_K;
      const std::uint8_t* nibbles = b + (five ? 48 : 16) + 32 * (k / 64);
      int code = k % 64 < 32 ? nibbles[column] & 15 : nibbles[column] >> 4;
      if (five) code |= bits_at(b[16 + column], k / 32, 1) << 4;
      return {code, half_at(b) * scale, -(half_at(b + 2) * minimum)};
    }
    case TensorType::kQ6_K: {
      const int byte = b[64 * half + 32 * (quarter % 2) + column];
      const int low = quarter < 2 ? byte & 15 : byte >> 4;
      const int high = bits_at(b[128 + 32 * half + column], 2 * quarter, 2);
      return {(low | (high << 4)) - 32,
              half_at(b + 208) * static_cast<std::int8_t>(b[192 + k / 16]), 0.0};
    }
    default: {  // IQ4_XS
      const int j = k / 32;
      const int scale =
          bits_at(b[4 + j / 2], 4 * (j % 2), 4) | (bits_at(b[2] | (b[3] << 8), 2 * j, 2) << 4);
      return {iq4_level(nibble_of_32(b + 8 + 16 * j, column)), half_at(b) * (scale - 32), 0.0};
    }
  }
}

/// Value k of a stored row. Float formats have it as the minimum.
inline StoredValue stored_value(TensorType type, const std::byte* row, std::int64_t k) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(row);
  if (type == TensorType::kF32) {
    float f;
    std::memcpy(&f, bytes + 4 * k, sizeof f);
    return {0, 0.0, static_cast<double>(f)};
  }
  if (type == TensorType::kF16) return {0, 0.0, half_at(bytes + 2 * k)};
  if (type == TensorType::kBF16) {
    const int bits = bytes[2 * k] | (bytes[2 * k + 1] << 8);
    return {0, 0.0, static_cast<double>(bfloat_to_float(static_cast<std::uint16_t>(bits)))};
  }
  const TensorTypeInfo& info = tensor_type_info(type);
  const auto values = static_cast<std::int64_t>(info.block_values);
  const std::uint8_t* block = bytes + k / values * info.block_bytes;
  const int at = static_cast<int>(k % values);
  return values == 32 ? stored_in_32(type, block, at) : stored_in_256(type, block, at);
}

/// Where a block keeps its half floats; -1 = none.
struct HalfOffsets {
  int scale = -1;
  int minimum = -1;
};
inline HalfOffsets half_offsets(TensorType type) {
  switch (type) {
    case TensorType::kQ4_1:
    case TensorType::kQ5_1:
    case TensorType::kQ4_K:
    case TensorType::kQ5_K:
      return {0, 2};
    case TensorType::kQ2_K:
      return {80, 82};
    case TensorType::kQ3_K:
      return {108, -1};
    case TensorType::kQ6_K:
      return {208, -1};
    default:
      return {0, -1};
  }
}

/// Memory that ends at a page that must not be touched: reading one byte too many is a crash.
class GuardedBytes {
 public:
  explicit GuardedBytes(std::size_t size) : size_(size) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t used = (size + page - 1) / page * page;
    total_ = used + page;
    map_ = static_cast<std::byte*>(
        ::mmap(nullptr, total_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(::mprotect(map_ + used, page, PROT_NONE), 0);
    data_ = map_ + used - size;
  }
  ~GuardedBytes() { ::munmap(map_, total_); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;
  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  std::size_t total_ = 0;
  std::byte* map_ = nullptr;
  std::byte* data_ = nullptr;
};

/// Rows of random codes with finite scales in [-2, 2], some of them subnormal. The rows end where
/// memory ends and are aligned to 2 bytes only, like those of a tensor.
struct StoredRows {
  StoredRows(TensorType stored_type, int n_rows, std::int64_t n_cols, std::uint64_t seed)
      : type(stored_type),
        cols(n_cols),
        row_bytes(static_cast<std::size_t>(n_cols) / tensor_type_info(stored_type).block_values *
                  tensor_type_info(stored_type).block_bytes),
        bytes(static_cast<std::size_t>(n_rows) * row_bytes) {
    SplitMix64 random(seed);
    const auto half = [&] {
      const float f = static_cast<float>(random.uniform() * 4.0 - 2.0);
      return float_to_half(random.below(16) == 0 ? f * 1e-5f : f);
    };
    std::byte* p = bytes.data();
    if (type == TensorType::kF32 || type == TensorType::kF16 || type == TensorType::kBF16) {
      const std::size_t width = type == TensorType::kF32 ? 4 : 2;
      for (std::size_t i = 0; i < bytes.size(); i += width) {
        const float f = static_cast<float>(random.uniform() * 4.0 - 2.0);
        const std::uint16_t h = type == TensorType::kF16 ? half() : float_to_bfloat(f);
        std::memcpy(p + i, type == TensorType::kF32 ? static_cast<const void*>(&f) : &h, width);
      }
      return;
    }
    const HalfOffsets offsets = half_offsets(type);
    const std::size_t block_bytes = tensor_type_info(type).block_bytes;
    for (std::byte* block = p; block != p + bytes.size(); block += block_bytes) {
      for (std::size_t i = 0; i < block_bytes; ++i)
        block[i] = static_cast<std::byte>(random.next());
      for (const int offset : {offsets.scale, offsets.minimum}) {
        if (offset < 0) continue;
        const std::uint16_t h = half();
        std::memcpy(block + offset, &h, sizeof h);
      }
    }
  }
  const std::byte* row(int r) const {
    return bytes.data() + static_cast<std::size_t>(r) * row_bytes;
  }

  TensorType type;
  std::int64_t cols;
  std::size_t row_bytes;
  GuardedBytes bytes;
};

/// The panel of up to sixteen rows, ending where memory ends.
struct Panel {
  Panel(const WeightKernels& kernels, const StoredRows& rows, int n_rows)
      : memory(kernels.panel_bytes(rows.cols)) {
    kernels.pack(rows.row(0), rows.row_bytes, n_rows, rows.cols, memory.data());
  }
  const std::byte* data() const { return memory.data(); }
  GuardedBytes memory;
};

/// x [m][cols] quantized, in groups.
struct QuantizedInputs {
  QuantizedInputs(const Kernels& table, const std::vector<float>& x, int n_inputs,
                  std::int64_t n_cols)
      : group(table.int8_group),
        neighbours(table.int8_columns),
        m(n_inputs),
        cols(n_cols),
        q(x.size()),
        scale(x.size() / kInt8Block),
        sum(scale.size() * kInt8Sums),
        scaled_sum(scale.size() * kInt8Sums) {
    for (int first = 0; first < m; first += group) {
      const auto at = static_cast<std::size_t>(first * cols);
      const std::size_t block = at / kInt8Block;
      table.quantize_int8(x.data() + at, group_of(first), static_cast<int>(cols),
                          {q.data() + at, scale.data() + block, sum.data() + block * kInt8Sums,
                           scaled_sum.data() + block * kInt8Sums});
    }
  }
  Int8Inputs inputs() const { return {q.data(), scale.data(), sum.data(), scaled_sum.data(), m}; }
  /// Inputs in the group of input i.
  int group_of(std::int64_t i) const {
    return static_cast<int>(std::min<std::int64_t>(group, m - i / group * group));
  }
  /// Code of input i, column k.
  std::int8_t code(std::int64_t i, std::int64_t k) const {
    return q[static_cast<std::size_t>(group_begin(i) * cols +
                                      (k / neighbours * group_of(i) + i % group) * neighbours +
                                      k % neighbours)];
  }
  float block_scale(std::int64_t i, std::int64_t block) const {
    return scale[block_at(i, block, 1, 0)];
  }
  /// part: 0 and 1 are the halves of a block, 2 all of it.
  std::int32_t block_sum(std::int64_t i, std::int64_t block, int part) const {
    return sum[block_at(i, block, kInt8Sums, part)];
  }
  float block_scaled_sum(std::int64_t i, std::int64_t block, int part) const {
    return scaled_sum[block_at(i, block, kInt8Sums, part)];
  }

  int group;
  int neighbours;  // columns of an input side by side
  int m;
  std::int64_t cols;
  std::vector<std::int8_t> q;
  std::vector<float> scale;
  std::vector<std::int32_t> sum;
  std::vector<float> scaled_sum;

 private:
  std::int64_t group_begin(std::int64_t i) const { return i / group * group; }
  std::size_t block_at(std::int64_t i, std::int64_t block, int parts, int part) const {
    const std::int64_t first = group_begin(i) * (cols / kInt8Block) * parts;
    return static_cast<std::size_t>(first + (block * parts + part) * group_of(i) + i % group);
  }
};

inline std::vector<float> random_inputs(std::size_t n, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(random.uniform() * 2.0 - 1.0);
  return x;
}

/// Row lengths worth testing: within, at and beyond the 256 columns that are decoded at a time.
inline std::vector<std::int64_t> column_counts(TensorType type) {
  switch (tensor_type_info(type).block_values) {
    case 1:
      return {16, 32, 48, 96, 256, 272, 576};
    case 32:
      return {32, 64, 96, 256, 288, 576};
    default:
      return {256, 512, 768};
  }
}

/// A weight type on an instruction set of this machine.
struct WeightCase {
  Isa isa;
  TensorType type;
  const Kernels& table() const { return kernels_for(isa); }
  const WeightKernels& kernels() const { return weight_kernels(table(), type); }
  const WeightKernels& scalar() const { return weight_kernels(kernels_for(Isa::kScalar), type); }
};
inline std::vector<WeightCase> weight_cases() {
  std::vector<WeightCase> cases;
  for (const Isa isa : available_isas()) {
    const Kernels& table = kernels_for(isa);
    for (int i = 0; i < table.n_weights; ++i) cases.push_back({isa, table.weights[i].type});
  }
  return cases;
}
inline void PrintTo(const WeightCase& c, std::ostream* out) {
  *out << tensor_type_info(c.type).name << '_' << isa_name(c.isa);
}

class WeightTest : public testing::TestWithParam<WeightCase> {};

}  // namespace quant::test
