// Finds tensors by name, checks their shapes against the hyper-parameters and hands out views.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "gguf/gguf.h"
#include "model/weights.h"
#include "quant/model.h"

namespace quant {

/// Every member throws Error(kModel) that names the tensor and its expected and found shape, or
/// its type if that is not supported.
class WeightBinder {
 public:
  /// Vectors that cannot be used in place are widened into `weights`.
  WeightBinder(const GgufFile& file, ModelWeights& weights) : file_(file), weights_(weights) {}

  Matrix matrix(const std::string& name, std::int64_t rows, std::int64_t cols);
  /// An empty Matrix if the tensor is absent.
  Matrix optional_matrix(const std::string& name, std::int64_t rows, std::int64_t cols);
  /// A matrix whose number of rows the file decides.
  Matrix matrix_of_any_rows(const std::string& name, std::int64_t cols);
  Vector vector(const std::string& name, std::int64_t size);
  /// A null pointer if the tensor is absent.
  Vector optional_vector(const std::string& name, std::int64_t size);
  /// Positive divisors of RoPE frequencies, copied; empty if the tensor is absent.
  std::vector<float> optional_factors(const std::string& name, std::int64_t size);

  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }
  /// Throws if the file has a tensor that would take part in the forward pass but was not bound:
  /// leaving it out would silently compute another model.
  void refuse_unbound() const;

  [[noreturn]] void fail(const std::string& problem) const;

 private:
  const Tensor& find(const std::string& name);
  Matrix view(const Tensor& tensor, std::int64_t rows, std::int64_t cols) const;

  const GgufFile& file_;
  ModelWeights& weights_;
  std::unordered_set<std::string_view> bound_;
};

/// Embedding, final norm and output matrix (the embedding itself if the file has none); sets
/// config.n_vocab, and makes room for the layers.
void bind_ends(WeightBinder& binder, ModelConfig& config, ModelWeights& weights);
/// Norm, projections (separate or fused as attn_qkv) and optional biases of one attention.
void bind_attention(WeightBinder& binder, const ModelConfig& config, int index,
                    LayerWeights& layer);
/// RMS norms of each query and key head.
void bind_qk_norms(WeightBinder& binder, const ModelConfig& config, int index, LayerWeights& layer);
/// Norm, gate, up and down of one feed-forward network.
void bind_ffn(WeightBinder& binder, const ModelConfig& config, int index, LayerWeights& layer);
/// Norms of what attention and feed-forward network add to the residual stream.
void bind_post_norms(WeightBinder& binder, const ModelConfig& config, int index,
                     LayerWeights& layer);
/// LongRoPE's long and short factors into the first rope; does nothing if the file has none.
void bind_long_rope(WeightBinder& binder, ModelConfig& config);

/// The name "blk.INDEX.SUFFIX".
std::string layer_name(int index, std::string_view suffix);

}  // namespace quant
