#include "engine/linear.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/to_size.h"

namespace quant {
Linear::Linear(const Kernels& kernels, MathMode math, int threads, int max_batch,
               std::int64_t max_cols)
    : kernels_(kernels), math_(math), threads_(threads) {
  if (math == MathMode::kExact) return;
  const std::size_t values = to_size(max_batch) * to_size(max_cols);
  q_ = AlignedBuffer<std::int8_t>(values);
  scale_ = AlignedBuffer<float>(values / kInt8Block);
  sum_ = AlignedBuffer<std::int32_t>(values / kInt8SumBlock);
}

void Linear::set_input(const float* x, int m, std::int64_t cols) noexcept {
  x_ = x;
  m_ = m;
  cols_ = cols;
  // Rows that are no multiple of a block occur only with float weights, which need no int8 inputs.
  if (math_ == MathMode::kExact || cols % kInt8Block != 0) return;
  parallel_for(threads_, m, [&](std::int64_t i, int) {
    kernels_.quantize_int8(x + i * cols, static_cast<int>(cols), q_.data() + i * cols,
                           scale_.data() + i * (cols / kInt8Block),
                           sum_.data() + i * (cols / kInt8SumBlock));
  });
}

void Linear::multiply(const Matrix& w, float* out) noexcept {
  const std::int64_t panels = (w.rows + kPanelRows - 1) / kPanelRows;
  parallel_for(threads_, panels, [&](std::int64_t panel, int) {
    const std::int64_t row = panel * kPanelRows;
    multiply_panel(w, row, 0, m_, out + row, to_size(w.rows));
  });
}

void Linear::multiply_panel(const Matrix& w, std::int64_t row, int first, int count, float* out,
                            std::size_t out_stride) const noexcept {
  const WeightKernels& kernels = weight_kernels(kernels_, w.type);
  const std::byte* rows = w.data + to_size(row) * w.row_bytes;
  const int n_rows = static_cast<int>(std::min<std::int64_t>(kPanelRows, w.rows - row));
  if (math_ == MathMode::kFast && kernels.product_int8 != nullptr) {
    const Int8Inputs x{q_.data() + first * cols_, scale_.data() + first * (cols_ / kInt8Block),
                       sum_.data() + first * (cols_ / kInt8SumBlock), count};
    kernels.product_int8(rows, w.row_bytes, n_rows, cols_, x, out, out_stride);
  } else {
    const FloatInputs x{x_ + first * cols_, to_size(cols_), count};
    kernels.product(rows, w.row_bytes, n_rows, cols_, x, out, out_stride);
  }
}

}  // namespace quant
