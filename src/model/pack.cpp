#include "model/pack.h"

#include <algorithm>
#include <vector>

#include "base/memory_advice.h"
#include "base/parallel.h"
#include "base/to_size.h"
#include "kernels/kernels.h"

namespace quant {
namespace {

std::vector<Matrix*> multiplied_matrices(ModelWeights& weights) {
  std::vector<Matrix*> matrices;
  for (LayerWeights& layer : weights.layers) {
    for (Matrix* w : layer.matrices()) matrices.push_back(w);
  }
  matrices.push_back(&weights.output);
  return matrices;
}

/// Packs a piece at a time, so that no more than a piece is resident twice.
void pack_matrix(const Matrix& w, const WeightKernels& kernels, std::byte* panels, int threads) {
  constexpr std::size_t kPieceBytes = std::size_t{8} << 20;
  const std::size_t stored_bytes = w.row_bytes * kPanelRows;  // of a panel's rows
  const auto step = static_cast<std::int64_t>(kPieceBytes / stored_bytes) + 1;
  for (std::int64_t first = 0; first < w.n_panels(); first += step) {
    const std::int64_t count = std::min(step, w.n_panels() - first);
    parallel_for(threads, count, [&](std::int64_t index, int) {
      const std::int64_t panel = first + index;
      const std::int64_t row = panel * kPanelRows;
      const int n_rows = static_cast<int>(std::min<std::int64_t>(kPanelRows, w.rows - row));
      kernels.pack(w.data + to_size(row) * w.row_bytes, w.row_bytes, n_rows, w.cols,
                   panels + to_size(panel) * w.panel_bytes);
    });
    const std::int64_t rows = std::min(count * kPanelRows, w.rows - first * kPanelRows);
    release_pages(w.data + to_size(first) * stored_bytes, to_size(rows) * w.row_bytes);
  }
}

}  // namespace

void pack_weights(ModelWeights& weights, int threads) {
  const Kernels& kernels = kernels_for(best_isa());
  const std::vector<Matrix*> matrices = multiplied_matrices(weights);
  std::size_t bytes = 0;
  for (Matrix* w : matrices) {
    const WeightKernels& of_type = weight_kernels(kernels, w->type);
    w->panel_bytes = of_type.panel_bytes(w->cols);
    weights.has_float_panels |= of_type.product_int8 == nullptr;
    bytes += to_size(w->n_panels()) * w->panel_bytes;
  }
  weights.panels = in_huge_pages<std::byte>(bytes);
  std::byte* panels = weights.panels.data();
  for (Matrix* w : matrices) {
    pack_matrix(*w, weight_kernels(kernels, w->type), panels, threads);
    w->panels = panels;
    panels += to_size(w->n_panels()) * w->panel_bytes;
  }
}

}  // namespace quant
