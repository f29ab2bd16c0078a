#include "quant/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "kv/cache.h"
#include "quant/error.h"

namespace quant {
namespace {

/// From the models' published config.json files.
constexpr ModelShape kShapes[] = {
    {"smollm2-135m", 30, 576, 9, 3, 64, 1536, 8192, 0, 0},
    {"llama-3.2-1b", 16, 2048, 32, 8, 64, 8192, 131072, 0, 0},
    {"llama-3.2-3b", 28, 3072, 24, 8, 128, 8192, 131072, 0, 0},
    {"llama-3.1-8b", 32, 4096, 32, 8, 128, 14336, 131072, 0, 0},
    {"llama-3.1-70b", 80, 8192, 64, 8, 128, 28672, 131072, 0, 0},
    {"mistral-7b-v0.3", 32, 4096, 32, 8, 128, 14336, 32768, 0, 0},
    {"qwen2.5-0.5b", 24, 896, 14, 2, 64, 4864, 32768, 0, 0},
    {"qwen2.5-7b", 28, 3584, 28, 4, 128, 18944, 32768, 0, 0},
    {"qwen3-8b", 36, 4096, 32, 8, 128, 12288, 40960, 0, 0},
    {"gemma-3-4b", 34, 2560, 8, 4, 256, 10240, 131072, 1024, 6},
};

constexpr std::int64_t kMostPositions = std::int64_t{1} << 40;
/// Logits that exist at one time on one thread, and attention's rows and chunk: see src/engine.
constexpr int kHeadTile = 128 * 512;
constexpr int kAttentionRows = 96;
constexpr int kAttentionChunk = 256;

}  // namespace

std::size_t cache_bytes(const ModelConfig& config, const KvSpec& spec, int batch,
                        std::int64_t positions) {
  require_head_dim(spec.key.type, config.key_dim);
  require_head_dim(spec.value.type, config.value_dim);
  return KvCache::formula_bytes(config, spec, batch, positions);
}

std::size_t working_bytes(const ModelConfig& config, int batch, int threads,
                          std::int64_t positions) {
  const std::int64_t heads = config.n_heads;
  const std::int64_t kv_heads = config.n_kv_heads;
  const std::int64_t dims = config.key_dim + config.value_dim;
  const std::int64_t a_token = 3 * config.n_embd + 2 * config.n_ff + (heads + 2 * kv_heads) * dims;
  const std::int64_t a_part = 2 + 2 * config.value_dim;
  const std::int64_t a_thread =
      kHeadTile + kAttentionRows * (2 * config.key_dim + 2 * kAttentionChunk + 2 * a_part);
  std::int64_t floats = batch * a_token + threads * a_thread;
  if (threads > 1) floats += (positions / kAttentionChunk + 1) * heads * a_part;
  for (const RopeConfig& rope : config.ropes) floats += positions * rope.n_rot;
  return static_cast<std::size_t>(floats) * sizeof(float);
}

std::int64_t longest_context(const ModelConfig& config, const KvSpec& spec, int batch, int threads,
                             std::size_t bytes) {
  const auto fits = [&](std::int64_t positions) {
    return cache_bytes(config, spec, batch, positions) +
               working_bytes(config, batch, threads, positions) <=
           bytes;
  };
  std::int64_t most = 0;
  for (std::int64_t step = kMostPositions; step > 0; step /= 2) {
    if (most + step <= kMostPositions && fits(most + step)) most += step;
  }
  return most;
}

std::span<const ModelShape> model_shapes() noexcept { return kShapes; }

ModelConfig shape_config(std::string_view name) {
  const auto shape = std::ranges::find(kShapes, name, &ModelShape::name);
  if (shape == std::end(kShapes)) {
    std::vector<std::string_view> names;
    for (const ModelShape& known : kShapes) names.push_back(known.name);
    throw Error(ErrorKind::kUsage,
                fmt::format("unknown shape '{}'; known: {}", name, fmt::join(names, ", ")));
  }
  ModelConfig config;
  config.name = shape->name;
  config.n_layers = shape->n_layers;
  config.n_embd = shape->n_embd;
  config.n_heads = shape->n_heads;
  config.n_kv_heads = shape->n_kv_heads;
  config.key_dim = config.value_dim = shape->head_dim;
  config.n_ff = shape->n_ff;
  config.context_length = shape->context_length;
  config.ropes.emplace_back().n_rot = shape->head_dim;
  for (int layer = 0; layer < shape->n_layers; ++layer) {
    const bool global = shape->sliding_pattern == 0 || (layer + 1) % shape->sliding_pattern == 0;
    config.layers.push_back({global ? 0 : shape->sliding_window, 0});
  }
  return config;
}

}  // namespace quant
