// What a weight format is to the rest of the engine: products of packed rows, one set an ISA.
//
// A quantized format is a class template on the ISA tag (formats/weight/blocks*.h) with kType,
// kValues and kBytes of a block, kSubBlock (16 or 32 values that share a scale), kHasMinimum, and
// what CodePanel (code_tile.h) lists. A value is scale·code (+ minimum), one rounding: this is the
// format's FP32 value, and the int8 codes are what products with int8 inputs use. A format that
// stores floats has kType, kBytes of a value, and load (plain.h). weight/kernels.h derives the
// functions below from either.
//
// A panel holds sixteen rows with their bytes interleaved, word by word, in tiles of up to 256
// columns: nothing is decoded or rounded, and it is as large as the rows but for padding to whole
// words (Q3_K 1.8 %, Q6_K 1 %). It is the same on every ISA.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf/gguf.h"

namespace quant {

/// Outputs that a panel computes together: one a vector lane.
inline constexpr int kPanelRows = 16;
/// Inputs are quantized in blocks of 32 values.
inline constexpr int kInt8Block = 32;
/// How far ahead of their use packed weights are fetched where a tile is unpacked at once.
inline constexpr std::size_t kTileFetchAhead = 4096;
/// Sums kept for each block: of its first and last sixteen values, and of all.
inline constexpr int kInt8Sums = 3;

/// FP32 inputs, interleaved in groups of Kernels::float_group inputs; the last group may have
/// fewer. A kernel reads one stream instead of one for each input of a group.
struct FloatInputs {
  const float* x;  // groups of [cols][g]
  int m;

  /// Inputs [first, first + count), whole groups as for Int8Inputs::slice.
  FloatInputs slice(std::int64_t first, int count, std::int64_t cols) const noexcept {
    return {x + first * cols, count};
  }
};

/// Inputs quantized by quantize_int8 (kernels/kernels.h), interleaved in groups of
/// Kernels::int8_group inputs; the last group may have fewer. Within a group of g, neighbours are
/// the same c = Kernels::int8_columns columns of all g inputs, so that a kernel reads one stream.
/// cols is a multiple of 32.
struct Int8Inputs {
  const std::int8_t* q;     // groups of [cols / c][g][c], each in [-127, 127]
  const float* scale;       // groups of [cols / 32][g]
  const std::int32_t* sum;  // groups of [cols / 32][kInt8Sums][g]: sums of q
  const float* scaled_sum;  // the same times the block's scale
  int m;

  /// Inputs [first, first + count); first is a multiple of the group size, and so is count unless
  /// it reaches the end.
  Int8Inputs slice(std::int64_t first, int count, std::int64_t cols) const noexcept {
    const std::int64_t block = first * (cols / kInt8Block);
    return {q + first * cols, scale + block, sum + block * kInt8Sums,
            scaled_sum + block * kInt8Sums, count};
  }
};

/// Where quantize_int8 puts a group of g inputs; the arrays of Int8Inputs.
struct Int8Group {
  std::int8_t* q;
  float* scale;
  std::int32_t* sum;
  float* scaled_sum;
};

struct WeightKernels {
  TensorType type;
  /// One stored row to FP32; cols is a multiple of 16 and of the format's block.
  void (*decode_row)(const std::byte* row, std::int64_t cols, float* out);
  /// Bytes of a panel: sixteen rows of cols values; a multiple of 64.
  std::size_t (*panel_bytes)(std::int64_t cols);
  /// Interleaves n_rows (1..16) stored rows; the others repeat the last one. Reads nothing beyond
  /// the rows. `panel` is aligned to 64 bytes.
  void (*pack)(const std::byte* rows, std::size_t row_bytes, int n_rows, std::int64_t cols,
               std::byte* panel);
  /// out[i·out_stride + r] = Σ_k x[i][k]·W[r][k] for the sixteen rows of a panel, k ascending with
  /// one fma a step.
  void (*product)(const std::byte* panel, std::int64_t cols, const FloatInputs& x, float* out,
                  std::size_t out_stride);
  /// The same with int8 inputs: integer sums over each sub-block, then one fma a sub-block and,
  /// where the format has minimums, another. Null for formats that store floats.
  void (*product_int8)(const std::byte* panel, std::int64_t cols, const Int8Inputs& x, float* out,
                       std::size_t out_stride);
};

}  // namespace quant
