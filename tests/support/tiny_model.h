// Small models with random weights, written as GGUF files that quant and llama.cpp can load.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "support/gguf_writer.h"

namespace quant::test {

struct TinyModelSpec {
  std::string architecture = "llama";  ///< llama, qwen2, qwen3, gemma2, gemma3 or phi3
  int n_layers = 2;
  int n_embd = 64;
  int n_heads = 4;
  int n_kv_heads = 2;
  int head_dim = 16;
  int value_dim = 0;  ///< 0 = head_dim
  int n_ff = 128;
  int n_vocab = 288;  ///< at least 288
  int context_length = 512;
  int n_rot = 0;  ///< 0 = head_dim
  double rope_base = 10000.0;
  int sliding_window = 0;   ///< written if not 0
  int sliding_pattern = 0;  ///< every n-th layer sees everything; written if not 0
  bool tied_output = true;
  bool rope_freqs = false;                    ///< Llama 3's frequency factors
  bool long_rope = false;                     ///< long and short factors (phi3)
  std::string rope_scaling;                   ///< rope.scaling.type, written if not empty
  double rope_factor = 0.0;                   ///< rope.scaling.factor, written if not 0
  double rope_attention_factor = 0.0;         ///< rope.scaling.attn_factor, written if not 0
  int original_context = 0;                   ///< written if not 0
  TensorType weight_type = TensorType::kF32;  ///< of matrices: F32, F16, BF16 or Q8_0
  std::optional<TensorType> output_type;      ///< of an output matrix that is not tied
  std::uint64_t seed = 1;
};

/// The usual features of an architecture in small: gemma2 and gemma3 with a sliding window of 32
/// (every 2nd and 3rd layer global), phi3 with LongRoPE beyond 128 positions.
TinyModelSpec tiny_spec(const std::string& architecture);

/// Weights of Q8_0 and an output matrix of F16: products of codes and of floats in one model.
TinyModelSpec tiny_mixed_spec();

/// The same spec gives the same bytes everywhere. The tokenizer is byte-level BPE with 288 tokens:
/// the 256 bytes (ids 0 to 255, in the order of the bytes), <s> (256, added as BOS), </s> (257,
/// EOS) and 30 pairs of letters with their merges; ids from 288 on are unused.
GgufWriter tiny_model(const TinyModelSpec& spec);

/// Writes dir/ARCHITECTURE.gguf and returns its path.
std::string write_tiny_model(const std::filesystem::path& dir, const TinyModelSpec& spec);

}  // namespace quant::test
