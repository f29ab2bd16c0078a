// What a weight format is to the rest of the engine: products of stored rows, one set an ISA.
//
// A quantized format is a class template on the ISA tag (formats/weight/blocks*.h) with kType,
// kValues and kBytes of a block, kSubBlock (16 or 32 values that share a scale), kHasMinimum, and
// the functions that CodePanel (code_tile.h) lists. A value is scale·code (+ minimum), one
// rounding: this is the format's FP32 value, and the int8 codes are what products with int8 inputs
// use; codes of formats with minimums are never negative. A format that stores floats has kType,
// kBytes of a value, and load (plain.h). weight/kernels.h derives the functions below from either.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf/gguf.h"

namespace quant {

/// Outputs that a panel computes together: one a vector lane.
inline constexpr int kPanelRows = 16;
/// Inputs are quantized in blocks of 32 values; sums of their codes are kept for every 16, the
/// smallest sub-block of a weight format.
inline constexpr int kInt8Block = 32;
inline constexpr int kInt8SumBlock = 16;

/// FP32 inputs, row-major.
struct FloatInputs {
  const float* x;      // [m][stride]
  std::size_t stride;  // in floats
  int m;
};

/// Inputs quantized by quantize_int8 (kernels/kernels.h). cols is a multiple of 32.
struct Int8Inputs {
  const std::int8_t* q;     // [m][cols], each in [-127, 127]
  const float* scale;       // [m][cols / kInt8Block]
  const std::int32_t* sum;  // [m][cols / kInt8SumBlock]
  int m;
};

struct WeightKernels {
  TensorType type;
  /// One stored row to FP32; cols is a multiple of 16 and of the format's block.
  void (*decode_row)(const std::byte* row, std::int64_t cols, float* out);
  /// out[i·out_stride + r] = Σ_k x[i][k]·W[r][k] for the n_rows (1..16) stored rows at `rows`, k
  /// ascending with one fma a step. Writes 16 floats a row of out whatever n_rows; those beyond
  /// n_rows are unspecified but finite where the inputs are.
  void (*product)(const std::byte* rows, std::size_t row_bytes, int n_rows, std::int64_t cols,
                  const FloatInputs& x, float* out, std::size_t out_stride);
  /// The same with int8 inputs: integer sums over each sub-block, then one fma a sub-block and,
  /// where the format has minimums, another. Null for formats that store floats.
  void (*product_int8)(const std::byte* rows, std::size_t row_bytes, int n_rows, std::int64_t cols,
                       const Int8Inputs& x, float* out, std::size_t out_stride);
};

}  // namespace quant
