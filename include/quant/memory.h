// What a model and its cache need, before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "quant/kv_spec.h"
#include "quant/model.h"

namespace quant {

/// Bytes that a cache with room for `positions` asks of the allocator: packed rows, sinks, windows.
/// `batch` tokens go through the layers together (sliding-window layers keep a ring of their window
/// and one batch). Throws Error(kModel) if a format cannot hold the model's head_dim.
std::size_t cache_bytes(const ModelConfig& config, const KvSpec& spec, int batch,
                        std::int64_t positions);

/// Bytes of activations, attention's scratch memory and rotation tables for a session of so many
/// positions. Three models at 3,500 positions (batch 512, two threads) took 2 to 5 % more resident
/// memory beside weights and cache in exact math, 4 to 12 % more in fast math, whose int8 copies of
/// activations are not counted. Pages of the mapped file that the tokens touch come on top; the
/// system can take them back.
std::size_t working_bytes(const ModelConfig& config, int batch, int threads,
                          std::int64_t positions);

/// The most positions at which cache and working memory take no more than `bytes`, looked for up to
/// 2^40; 0 if not even one fits.
std::int64_t longest_context(const ModelConfig& config, const KvSpec& spec, int batch, int threads,
                             std::size_t bytes);

/// A published model's hyper-parameters, as far as memory depends on them.
struct ModelShape {
  std::string_view name;
  int n_layers;
  int n_embd;
  int n_heads;
  int n_kv_heads;
  int head_dim;
  int n_ff;
  int context_length;
  int sliding_window;   ///< 0 = all layers are global
  int sliding_pattern;  ///< every n-th layer is global
};
std::span<const ModelShape> model_shapes() noexcept;
/// The config of a shape. Throws Error(kUsage) that lists the known names.
ModelConfig shape_config(std::string_view name);

}  // namespace quant
