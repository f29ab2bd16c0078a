// A model: hyper-parameters, tokenizer and weights, immutable once loaded.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "quant/tokenizer.h"

namespace quant {

class GgufFile;
struct ModelWeights;

/// Which coordinates of a head rotate together: (2i, 2i+1), or (i, i + n_rot/2).
enum class RopeStyle { kNormal, kNeoX };
enum class RopeScaling { kNone, kLinear, kYarn, kLongRope };
enum class Activation { kSilu, kGeluTanh };

/// Rotary position embedding (arXiv 2104.09864), its YaRN (2309.00071) and LongRoPE (2402.13753)
/// extensions, with the conventions of llama.cpp b11434. For position p and pair i in
/// [0, n_rot / 2) the angle is
///     plain = p · base^(-2i / n_rot) / divisor[i]     interpolated = plain / factor
///     angle = interpolated                                                (all but yarn)
///     angle = interpolated · (1 - mix[i]) + plain · mix[i]                (yarn)
/// where divisor is freq_factors, or for longrope long_factors if the session's context exceeds
/// original_context and else short_factors; 1 where these are empty. For yarn
///     edge(beta) = n_rot · ln(original_context / (2π · beta)) / (2 · ln(base))
///     low = max(0, floor(edge(32)))     high = min(n_rot - 1, ceil(edge(1)))
///     mix[i] = 1 - clamp((i - low) / max(0.001, high - low), 0, 1)
/// with the paper's constants: llama.cpp b11434 reads the files' own for none of the supported
/// architectures.
/// Cosine and sine are multiplied by attention_factor, and for yarn with factor > 1 also by
/// 1 + 0.1 · ln(factor).
struct RopeConfig {
  RopeStyle style = RopeStyle::kNormal;
  int n_rot = 0;  ///< coordinates of a head that rotate, its first ones; even, at most key_dim
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;       ///< context extension; 1 where scaling is none
  int original_context = 0;  ///< context length before extension; context_length if not stated
  /// rope.scaling.attn_factor as stored: applies with every kind of scaling, also none. What yarn
  /// adds to it is not included (see above).
  double attention_factor = 1.0;
  /// Divisors of the frequencies, [n_rot / 2]: Llama 3's rope_freqs, or empty.
  std::vector<float> freq_factors;
  /// LongRoPE's two sets, [n_rot / 2] each; empty unless scaling is longrope. The session's context
  /// decides once which one is used, because cached keys are rotated already.
  std::vector<float> long_factors;
  std::vector<float> short_factors;
};

/// What may differ between layers.
struct LayerConfig {
  int sliding_window = 0;  ///< a query sees the last n positions, its own included; 0 = all
  int rope = 0;            ///< index into ModelConfig::ropes
};

/// Hyper-parameters. Features are data: the forward pass tests these fields and absent tensors,
/// never the architecture's name.
struct ModelConfig {
  std::string architecture;
  std::string name;  ///< general.name, "" if absent
  int n_layers = 0;
  int n_embd = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  int key_dim = 0;    ///< head_dim of queries and keys
  int value_dim = 0;  ///< head_dim of values
  int n_ff = 0;
  int n_vocab = 0;
  int context_length = 0;  ///< what the model was trained for
  float norm_eps = 1e-5f;
  float embedding_scale = 1.0f;
  float attention_scale = 0.0f;    ///< multiplies q·k
  float attention_softcap = 0.0f;  ///< s = cap·tanh(s/cap); 0 = none
  float final_softcap = 0.0f;      ///< the same for logits
  Activation activation = Activation::kSilu;
  std::vector<RopeConfig> ropes;
  std::vector<LayerConfig> layers;
};

struct LoadOptions {
  /// Interleave the weights for products, which sessions need; without it, nothing of them is read.
  bool pack_weights = true;
  int threads = 1;  ///< that interleave
};

/// Immutable; may be shared by any number of sessions and threads.
class Model {
 public:
  /// Maps the file and checks everything in it against everything else before any weight is
  /// read. Throws Error(kIo) and Error(kModel).
  static std::shared_ptr<const Model> load(const std::string& path,
                                           const LoadOptions& options = {});
  ~Model();

  const ModelConfig& config() const noexcept { return config_; }
  const Tokenizer& tokenizer() const noexcept { return *tokenizer_; }
  const ModelWeights& weights() const noexcept { return *weights_; }
  const std::string& path() const noexcept { return path_; }
  /// The files it was loaded from: several if the model is split.
  std::vector<std::string> paths() const;
  /// Bytes of tensor data in the file(s).
  std::uint64_t weight_bytes() const noexcept;
  /// Number of weights.
  std::uint64_t parameters() const noexcept;
  /// Tensors of each stored type: {"F32", 61}, {"Q4_1", 210}, ...
  std::map<std::string, int> tensor_types() const;
  /// The chat template of the file, "" if it has none.
  std::string chat_template() const;

 private:
  Model() = default;
  std::string path_;
  std::unique_ptr<const GgufFile> file_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  ModelConfig config_;
  std::unique_ptr<const ModelWeights> weights_;
};

}  // namespace quant
