// A transformer in double precision, written to be read: one position after the other, plain loops,
// nothing in common with the engine but the GGUF reader.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "quant/kv_spec.h"
#include "quant/tokenizer.h"

namespace quant::test {

using Doubles = std::vector<double>;

/// The architectures of TinyModelSpec with F32 weights; RoPE unscaled, with frequency factors or
/// LongRoPE. Reads metadata and tensors by itself.
class NaiveModel {
 public:
  /// What becomes of a row [head_dim] that is packed into a format and unpacked again.
  using Codec = std::function<std::vector<float>(KvType, const std::vector<float>&)>;
  /// Sees the softmax of a head over all positions up to the query's, 0 where it sees nothing.
  using Witness =
      std::function<void(int layer, int head, std::int64_t position, const Doubles& weights)>;

  /// context: the session's, which LongRoPE's choice of factors depends on.
  NaiveModel(const std::string& path, int context);

  /// Logits after each token, [tokens][n_vocab]. What a query sees of keys and of values is the
  /// rule of docs/kv-formats.md, evaluated position by position.
  Doubles logits(std::span<const Token> tokens, const KvSpec& kv, const Codec& codec,
                 const Witness& witness = {}) const;

 private:
  struct Matrix {
    std::size_t rows = 0;
    std::size_t cols = 0;
    const float* values = nullptr;  // [rows][cols]
  };
  struct Layer {
    int index;
    int sliding_window;  // 0: sees everything
    double rope_base;
  };
  /// Keys or values of one layer.
  struct Rows {
    int dim;                       // of a head
    std::vector<Doubles> exact;    // [position][n_kv_heads·dim]
    std::vector<Doubles> decoded;  // the same after the codec
  };

  const float* tensor(const std::string& name, std::size_t values, bool optional = false) const;
  Matrix matrix(const std::string& name, int rows, int cols) const;
  double number(const std::string& suffix, double fallback) const;
  int integer(const std::string& suffix, int fallback) const;

  void run_layer(const Layer& layer, std::vector<Doubles>& hidden, const KvSpec& kv,
                 const Codec& codec, const Witness& witness) const;
  Doubles project(const Layer& layer, const std::string& which, int rows, int fused_offset,
                  int fused_rows, const Doubles& x) const;
  void prepare_heads(const Layer& layer, const std::string& which, int n_heads,
                     std::size_t position, Doubles& heads) const;
  void remember(Rows& rows, const KvSide& side, const Codec& codec, Doubles row) const;
  Doubles attend(const Layer& layer, const KvSpec& kv, const Rows& keys, const Rows& values,
                 const Doubles& queries, std::size_t t, const Witness& witness) const;
  Doubles feed_forward(const Layer& layer, const Doubles& x) const;
  Doubles norm(const std::string& name, const Doubles& x) const;

  GgufFile file_;
  std::string architecture_;
  bool gemma_;
  int n_embd_;
  int n_heads_;
  int n_kv_heads_;
  int head_dim_;  // of queries and keys
  int value_dim_;
  int n_ff_;
  int n_rot_;
  double eps_;
  double rope_magnitude_;
  double attention_softcap_ = 0.0;
  double final_softcap_ = 0.0;
  Doubles rope_divisors_;  // [n_rot / 2]
  std::vector<Layer> layers_;
};

}  // namespace quant::test
