// Products of a batch of activations with packed weights.
#pragma once

#include <span>

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"
#include "model/weights.h"
#include "quant/session.h"

namespace quant {

/// Holds the inputs that the running step multiplies with several matrices, as kernels want them.
class Linear {
 public:
  /// A matrix and where its product goes: out is [m][w.rows], w.rows a multiple of 16.
  struct Product {
    const Matrix& w;
    float* out;
  };

  /// max_cols: the longest row of any matrix. has_floats: whether a matrix is stored as floats,
  /// which fast math multiplies by floats too: then all inputs are made ready for both.
  Linear(const Kernels& kernels, MathMode math, int threads, int max_batch, std::int64_t max_cols,
         bool has_floats);

  /// Makes x [m][cols] the input of the products that follow; x must stay alive and unchanged.
  void set_input(const float* x, int m, std::int64_t cols) noexcept;
  /// out[i][r] = Σ_k x[i][k]·w[r][k] for every product: threads share the panels of all of them.
  void multiply(std::span<const Product> products) noexcept;
  /// One panel of 16 rows of w for inputs [first, first + count): the caller divides the work.
  /// first is a multiple of input_group(w), and so is count unless it reaches the last input.
  /// out: [count][out_stride], with room for 16 floats a row.
  void multiply_panel(const Matrix& w, std::int64_t panel, int first, int count, float* out,
                      std::size_t out_stride) const noexcept;
  int input_group(const Matrix& w) const noexcept;

 private:
  bool multiplies_int8(const WeightKernels& kernels) const noexcept;
  template <class Visit>
  void for_groups(int group, const Visit& visit) noexcept;

  const Kernels& kernels_;
  int threads_;
  bool interleaves_;          // whether products need FloatInputs in groups of more than one
  bool as_int8_;              // whether they need Int8Inputs
  const float* x_ = nullptr;  // of FloatInputs
  int m_ = 0;
  std::int64_t cols_ = 0;
  AlignedBuffer<float> interleaved_;
  // The arrays of Int8Inputs.
  AlignedBuffer<std::int8_t> q_;
  AlignedBuffer<float> scale_;
  AlignedBuffer<std::int32_t> sum_;
  AlignedBuffer<float> scaled_sum_;
};

}  // namespace quant
