// Rows, and the kernels of a KV format on an instruction set, for the tests of all formats.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string>
#include <vector>

#include "base/splitmix64.h"
#include "kernels/kernels.h"

namespace quant::test {

/// Head dimensions that every format must hold, and the larger ones it also does.
inline constexpr int kDims[] = {16,  32,  48,  64,  80,  96,  112, 128,
                                160, 192, 224, 256, 320, 384, 448, 512};

enum class Distribution { kGaussian, kHeavyTailed, kHugeChannel, kConstant, kZeros };
inline constexpr Distribution kDistributions[] = {
    Distribution::kGaussian, Distribution::kHeavyTailed, Distribution::kHugeChannel,
    Distribution::kConstant, Distribution::kZeros};

inline double gaussian(SplitMix64& random) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - random.uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * random.uniform());
}

inline std::vector<float> random_row(Distribution distribution, int d, std::uint64_t seed) {
  SplitMix64 random(seed);
  const double constant = gaussian(random);
  std::vector<float> row;
  for (int j = 0; j < d; ++j) {
    const double normal = gaussian(random);
    double value = 0.0;  // kZeros
    if (distribution == Distribution::kGaussian) value = normal;
    if (distribution == Distribution::kHeavyTailed) value = normal / std::abs(gaussian(random));
    if (distribution == Distribution::kHugeChannel) value = j == 5 ? 300.0 + normal : normal;
    if (distribution == Distribution::kConstant) value = constant;
    // Near a zero of the divisor the tail is heavier than fp16 holds.
    row.push_back(static_cast<float>(std::clamp(value, -1000.0, 1000.0)));
  }
  return row;
}

inline double root_mean_square(const std::vector<float>& row) {
  double sum = 0.0;
  for (const float x : row) sum += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(sum / static_cast<double>(row.size()));
}

struct KvCase {
  Isa isa;
  KvType type;

  const KvKernels& kernels() const { return kv_kernels(kernels_for(isa), type); }
  const KvKernels& scalar() const { return kv_kernels(kernels_for(Isa::kScalar), type); }
  std::size_t row_bytes(int d) const { return kv_format_info(type).row_bytes(d); }
};

inline std::vector<KvCase> all_kv_cases() {
  std::vector<KvCase> cases;
  for (const Isa isa : available_isas()) {
    for (const KvFormatInfo& format : kv_formats()) cases.push_back({isa, format.type});
  }
  return cases;
}

inline void PrintTo(const KvCase& c, std::ostream* out) {
  *out << isa_name(c.isa) << '_' << kv_format_info(c.type).name;
}

/// Bytes or floats between guards, at an address that is no multiple of anything.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t count)
      : count_(count), bytes_(kBefore + count * sizeof(T) + kAfter, kFill) {}
  T* data() { return reinterpret_cast<T*>(bytes_.data() + kBefore); }
  std::vector<T> values() const {
    std::vector<T> out(count_);
    std::memcpy(out.data(), bytes_.data() + kBefore, count_ * sizeof(T));
    return out;
  }
  bool intact() const {
    return std::all_of(bytes_.begin(), bytes_.begin() + kBefore, is_fill) &&
           std::all_of(bytes_.end() - kAfter, bytes_.end(), is_fill);
  }

 private:
  static constexpr std::uint8_t kFill = 0xa5;
  static bool is_fill(std::uint8_t byte) { return byte == kFill; }
  // Floats keep their natural alignment, packed rows have none.
  static constexpr std::ptrdiff_t kBefore = sizeof(T) == 1 ? 33 : 36;
  static constexpr std::ptrdiff_t kAfter = 64;
  std::size_t count_;
  std::vector<std::uint8_t> bytes_;
};

/// n packed rows of mixed distributions in panels, and what they decode to.
struct PackedRows {
  PackedRows(const KvCase& c, int n_rows, int dim) : n(n_rows), d(dim) {
    const std::size_t row_bytes = c.row_bytes(d);
    const int panels = (n + kKvPanelRows - 1) / kKvPanelRows;
    // What no row was put in holds what is worst to read as a number.
    keys.assign(1 + static_cast<std::size_t>(panels * kKvPanelRows) * row_bytes, 0xff);
    values = keys;
    for (int i = 0; i < n; ++i) {
      const Distribution distribution = kDistributions[static_cast<std::size_t>(i) % 5];
      const std::vector<float> row = random_row(distribution, d, static_cast<std::uint64_t>(i));
      packed.emplace_back(row_bytes);
      EXPECT_TRUE(c.scalar().encode(row.data(), d, packed.back().data()));
      c.scalar().put_key(packed.back().data(), d, i, keys.data() + 1);
      c.scalar().put_value(packed.back().data(), d, i, values.data() + 1);
      decoded.emplace_back(static_cast<std::size_t>(d));
      c.scalar().decode(packed.back().data(), d, decoded.back().data());
    }
  }
  // Misaligned.
  const std::uint8_t* as_keys() const { return keys.data() + 1; }
  const std::uint8_t* as_values() const { return values.data() + 1; }

  int n;
  int d;
  std::vector<std::uint8_t> keys;                 // panels
  std::vector<std::uint8_t> values;               // panels
  std::vector<std::vector<std::uint8_t>> packed;  // [n][row_bytes]
  std::vector<std::vector<float>> decoded;        // [n][d]
};

inline std::vector<float> random_floats(std::size_t n, std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(gaussian(random));
  return values;
}

/// Equal in every bit.
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

}  // namespace quant::test
