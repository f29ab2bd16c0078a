// The codec of a NaiveModel: the formats themselves, tested elsewhere.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "kernels/kernels.h"

namespace quant::test {

/// A row [head_dim] packed and unpacked again by the scalar kernels.
inline std::vector<float> through_codes(KvType type, const std::vector<float>& row) {
  const KvKernels& kernels = kv_kernels(kernels_for(Isa::kScalar), type);
  const int dim = static_cast<int>(row.size());
  std::vector<std::uint8_t> packed(kv_format_info(type).row_bytes(dim));
  std::vector<float> read(row.size());
  EXPECT_TRUE(kernels.encode(row.data(), dim, packed.data()));
  kernels.decode(packed.data(), dim, read.data());
  return read;
}

}  // namespace quant::test
