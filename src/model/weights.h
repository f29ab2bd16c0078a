// Weights as views into the mapped file, and as panels for products: the same bytes in another
// order, never requantized.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "gguf/gguf.h"

namespace quant {

/// A row-major matrix as stored; y = W·x has `rows` outputs and `cols` inputs.
struct Matrix {
  TensorType type = TensorType::kF32;
  const std::byte* data = nullptr;  ///< [rows][row_bytes]
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::size_t row_bytes = 0;
  const std::byte* panels = nullptr;  ///< [n_panels()][panel_bytes], once pack_weights() ran
  std::size_t panel_bytes = 0;

  std::int64_t n_panels() const noexcept { return (rows + 15) / 16; }
  explicit operator bool() const noexcept { return data != nullptr; }
  /// Rows [begin, begin + count): how fused tensors are taken apart without a copy.
  Matrix slice(std::int64_t begin, std::int64_t count) const noexcept {
    return {.type = type,
            .data = data + static_cast<std::size_t>(begin) * row_bytes,
            .rows = count,
            .cols = cols,
            .row_bytes = row_bytes};
  }
};

/// Norm weights and biases; a null pointer means that the model has no such tensor. FP32 tensors
/// are used in place, F16 and BF16 ones are widened once (ModelWeights::widened owns them).
using Vector = const float*;

struct LayerWeights {
  Vector attn_norm = nullptr;  // [n_embd]
  Matrix q;                    // [n_heads·key_dim, n_embd]
  Matrix k;                    // [n_kv_heads·key_dim, n_embd]
  Matrix v;                    // [n_kv_heads·value_dim, n_embd]
  Matrix o;                    // [n_embd, n_heads·value_dim]
  Vector q_bias = nullptr;
  Vector k_bias = nullptr;
  Vector v_bias = nullptr;
  Vector o_bias = nullptr;
  Vector q_norm = nullptr;          // [key_dim], applied to each head
  Vector k_norm = nullptr;          // [key_dim]
  Vector post_attn_norm = nullptr;  // [n_embd], before the residual is added
  Vector ffn_norm = nullptr;        // [n_embd]
  Matrix gate;                      // [n_ff, n_embd]
  Matrix up;                        // [n_ff, n_embd]
  Matrix down;                      // [n_embd, n_ff]
  Vector post_ffn_norm = nullptr;   // [n_embd], before the residual is added

  std::array<Matrix*, 7> matrices() noexcept { return {&q, &k, &v, &o, &gate, &up, &down}; }
  std::array<const Matrix*, 7> matrices() const noexcept {
    return {&q, &k, &v, &o, &gate, &up, &down};
  }
};

struct ModelWeights {
  Matrix embedding;  // [n_vocab, n_embd]
  std::vector<LayerWeights> layers;
  Vector output_norm = nullptr;  // [n_embd]
  Matrix output;                 // [n_vocab, n_embd]; the embedding itself where tied
  std::vector<AlignedBuffer<float>> widened;
  AlignedBuffer<std::byte> panels;  // those of the layers' matrices and of output
  bool has_float_panels = false;    // whether one of them is stored as floats
};

}  // namespace quant
