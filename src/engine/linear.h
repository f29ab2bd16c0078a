// Products of a batch of activations with stored weights.
#pragma once

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"
#include "model/weights.h"
#include "quant/session.h"

namespace quant {

/// Holds the int8 form of the inputs that the running step multiplies with several matrices.
class Linear {
 public:
  /// max_cols: the longest row of any matrix.
  Linear(const Kernels& kernels, MathMode math, int threads, int max_batch, std::int64_t max_cols);

  /// Makes x [m][cols] the input of the products that follow; x must stay alive and unchanged.
  void set_input(const float* x, int m, std::int64_t cols) noexcept;
  /// out[i][r] = Σ_k x[i][k]·w[r][k]; out is [m][w.rows], w.rows a multiple of 16.
  void multiply(const Matrix& w, float* out) noexcept;
  /// One panel of up to 16 rows of w for inputs [first, first + count): the caller divides the
  /// work. out: [count][out_stride], with room for 16 floats a row.
  void multiply_panel(const Matrix& w, std::int64_t row, int first, int count, float* out,
                      std::size_t out_stride) const noexcept;

 private:
  const Kernels& kernels_;
  MathMode math_;
  int threads_;
  const float* x_ = nullptr;  // [m][cols]
  int m_ = 0;
  std::int64_t cols_ = 0;
  AlignedBuffer<std::int8_t> q_;     // [m][cols]
  AlignedBuffer<float> scale_;       // [m][cols / 32]
  AlignedBuffer<std::int32_t> sum_;  // [m][cols / kInt8SumBlock]
};

}  // namespace quant
