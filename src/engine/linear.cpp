#include "engine/linear.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/to_size.h"

namespace quant {

Linear::Linear(const Kernels& kernels, MathMode math, int threads, int max_batch,
               std::int64_t max_cols, bool has_floats)
    : kernels_(kernels),
      threads_(threads),
      interleaves_((math == MathMode::kExact || has_floats) && kernels.float_group > 1),
      as_int8_(math == MathMode::kFast) {
  const std::size_t values = to_size(max_batch) * to_size(max_cols);
  if (interleaves_ && max_batch > 1) interleaved_ = AlignedBuffer<float>(values);
  if (!as_int8_) return;
  const std::size_t blocks = values / kInt8Block;
  q_ = AlignedBuffer<std::int8_t>(values);
  scale_ = AlignedBuffer<float>(blocks);
  sum_ = AlignedBuffer<std::int32_t>(blocks * kInt8Sums);
  scaled_sum_ = AlignedBuffer<float>(blocks * kInt8Sums);
}

/// Calls visit(first input, number of inputs) for every group of the input.
template <class Visit>
void Linear::for_groups(int group, const Visit& visit) noexcept {
  parallel_for(threads_, (m_ + group - 1) / group, [&](std::int64_t index, int) {
    const std::int64_t first = index * group;
    visit(first, static_cast<int>(std::min<std::int64_t>(group, m_ - first)));
  });
}

void Linear::set_input(const float* x, int m, std::int64_t cols) noexcept {
  x_ = x;
  m_ = m;
  cols_ = cols;
  // A group of one is as it should be.
  if (interleaves_ && m > 1) {
    for_groups(kernels_.float_group, [&](std::int64_t first, int g) {
      kernels_.interleave(x + first * cols, g, cols, interleaved_.data() + first * cols);
    });
    x_ = interleaved_.data();
  }
  // Rows that are no multiple of a block occur only with float weights, which need no int8 inputs.
  if (!as_int8_ || cols % kInt8Block != 0) return;
  for_groups(kernels_.int8_group, [&](std::int64_t first, int g) {
    const std::int64_t block = first * (cols / kInt8Block);
    kernels_.quantize_int8(
        x + first * cols, g, static_cast<int>(cols),
        {q_.data() + first * cols, scale_.data() + block, sum_.data() + block * kInt8Sums,
         scaled_sum_.data() + block * kInt8Sums});
  });
}

bool Linear::multiplies_int8(const WeightKernels& kernels) const noexcept {
  return as_int8_ && kernels.product_int8 != nullptr;
}

int Linear::input_group(const Matrix& w) const noexcept {
  const bool int8 = multiplies_int8(weight_kernels(kernels_, w.type));
  return int8 ? kernels_.int8_group : kernels_.float_group;
}

void Linear::multiply(std::span<const Product> products) noexcept {
  std::int64_t panels = 0;
  for (const Product& product : products) panels += product.w.n_panels();
  parallel_for(threads_, panels, [&](std::int64_t panel, int) {
    const Product* product = products.data();
    for (; panel >= product->w.n_panels(); ++product) panel -= product->w.n_panels();
    multiply_panel(product->w, panel, 0, m_, product->out + panel * kPanelRows,
                   to_size(product->w.rows));
  });
}

void Linear::multiply_panel(const Matrix& w, std::int64_t panel, int first, int count, float* out,
                            std::size_t out_stride) const noexcept {
  const WeightKernels& kernels = weight_kernels(kernels_, w.type);
  const std::byte* data = w.panels + to_size(panel) * w.panel_bytes;
  if (multiplies_int8(kernels)) {
    const Int8Inputs all{q_.data(), scale_.data(), sum_.data(), scaled_sum_.data(), m_};
    kernels.product_int8(data, cols_, all.slice(first, count, cols_), out, out_stride);
  } else {
    const FloatInputs all{x_, m_};
    kernels.product(data, cols_, all.slice(first, count, cols_), out, out_stride);
  }
}

}  // namespace quant
