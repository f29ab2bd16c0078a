#include "support/tiny_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/half.h"

namespace quant::test {
namespace {

constexpr int kBos = 256;
constexpr int kEos = 257;
constexpr std::string_view kPairs[] = {"th", "he", "in", "er", "an", "re", "on", "at", "en", "nd",
                                       "ti", "es", "or", "te", "of", "ed", "is", "it", "al", "ar",
                                       "st", "to", "nt", "ng", "se", "ha", "as", "ou", "io", "le"};

/// Random numbers that are the same with every standard library (SplitMix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  /// About normal, variance 1.
  float normal() {
    double sum = 0.0;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<float>(sum - 6.0);
  }

 private:
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

void put_q8_0(std::string& out, const float* block) {
  float peak = 0.0f;
  for (int i = 0; i < 32; ++i) peak = std::max(peak, std::abs(block[i]));
  const std::uint16_t scale = float_to_half(peak / 127.0f);
  const float step = half_to_float(scale);
  put(out, scale);
  for (int i = 0; i < 32; ++i) {
    const float code = step > 0.0f ? std::round(block[i] / step) : 0.0f;
    put(out, static_cast<std::int8_t>(std::clamp(code, -127.0f, 127.0f)));
  }
}

std::string encode(const std::vector<float>& values, TensorType type) {
  std::string out;
  switch (type) {
    case TensorType::kF32:
      for (const float value : values) put(out, value);
      return out;
    case TensorType::kF16:
      for (const float value : values) put(out, float_to_half(value));
      return out;
    case TensorType::kBF16:
      for (const float value : values) put(out, float_to_bfloat(value));
      return out;
    case TensorType::kQ8_0:
      for (std::size_t i = 0; i < values.size(); i += 32) put_q8_0(out, &values[i]);
      return out;
    default:
      throw std::invalid_argument("tiny models have F32, F16, BF16 or Q8_0 weights");
  }
}

std::string utf8(unsigned code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
}

/// GPT-2's printable stand-in of each byte.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  unsigned moved = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool kept = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    tokens.push_back(utf8(kept ? byte : 256 + moved++));
  }
  return tokens;
}

void add_tokenizer(GgufWriter& out, int n_vocab) {
  constexpr std::int32_t kNormal = 1;
  constexpr std::int32_t kControl = 3;
  constexpr std::int32_t kUnused = 5;
  std::vector<std::string> tokens = byte_tokens();
  std::vector<std::string> merges;
  tokens.insert(tokens.end(), {"<s>", "</s>"});
  for (const std::string_view pair : kPairs) {
    tokens.emplace_back(pair);
    merges.push_back(fmt::format("{} {}", pair[0], pair[1]));
  }
  std::vector<std::int32_t> types(tokens.size(), kNormal);
  types[kBos] = types[kEos] = kControl;
  for (int i = static_cast<int>(tokens.size()); i < n_vocab; ++i) {
    tokens.push_back(fmt::format("[unused{}]", i));
    types.push_back(kUnused);
  }
  out.add("tokenizer.ggml.model", "gpt2")
      .add("tokenizer.ggml.pre", "gpt-2")
      .add("tokenizer.ggml.tokens", tokens)
      .add("tokenizer.ggml.token_type", types)
      .add("tokenizer.ggml.merges", merges)
      .add("tokenizer.ggml.bos_token_id", std::uint32_t{kBos})
      .add("tokenizer.ggml.eos_token_id", std::uint32_t{kEos})
      .add("tokenizer.ggml.add_bos_token", true);
}

int value_dim_of(const TinyModelSpec& spec) {
  return spec.value_dim == 0 ? spec.head_dim : spec.value_dim;
}

void add_hparams(GgufWriter& out, const TinyModelSpec& spec) {
  const auto key = [&](std::string_view suffix) {
    return fmt::format("{}.{}", spec.architecture, suffix);
  };
  const auto integer = [&](std::string_view suffix, int value) {
    out.add(key(suffix), static_cast<std::uint32_t>(value));
  };
  const auto integer_if_set = [&](std::string_view suffix, int value) {
    if (value != 0) integer(suffix, value);
  };
  const auto number_if_set = [&](std::string_view suffix, double value) {
    if (value != 0.0) out.add(key(suffix), static_cast<float>(value));
  };
  out.add("general.architecture", spec.architecture).add("general.name", "tiny");
  integer("context_length", spec.context_length);
  integer("embedding_length", spec.n_embd);
  integer("block_count", spec.n_layers);
  integer("feed_forward_length", spec.n_ff);
  integer("attention.head_count", spec.n_heads);
  integer("attention.head_count_kv", spec.n_kv_heads);
  integer("attention.key_length", spec.head_dim);
  integer("attention.value_length", value_dim_of(spec));
  out.add(key("attention.layer_norm_rms_epsilon"), 1e-5f);
  integer("rope.dimension_count", spec.n_rot == 0 ? spec.head_dim : spec.n_rot);
  number_if_set("rope.freq_base", spec.rope_base);
  integer_if_set("attention.sliding_window", spec.sliding_window);
  integer_if_set("attention.sliding_window_pattern", spec.sliding_pattern);
  if (!spec.rope_scaling.empty()) out.add(key("rope.scaling.type"), spec.rope_scaling);
  number_if_set("rope.scaling.factor", spec.rope_factor);
  number_if_set("rope.scaling.attn_factor", spec.rope_attention_factor);
  integer_if_set("rope.scaling.original_context_length", spec.original_context);
}

/// Adds tensors with random values to the file.
class TensorMaker {
 public:
  TensorMaker(GgufWriter& out, const TinyModelSpec& spec)
      : out_(out), type_(spec.weight_type), random_(spec.seed) {}

  /// Outputs have `gain` times the RMS of the inputs.
  void matrix(const std::string& name, int rows, int cols, float gain = 1.0f,
              std::optional<TensorType> own_type = std::nullopt) {
    const TensorType type = own_type.value_or(type_);
    const float scale = gain / std::sqrt(static_cast<float>(cols));
    std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
    for (float& value : values) value = scale * random_.normal();
    out_.add_tensor(name, {static_cast<std::uint64_t>(cols), static_cast<std::uint64_t>(rows)},
                    static_cast<std::uint32_t>(type), encode(values, type));
  }
  void vector(const std::string& name, int size, float mean, float deviation) {
    std::vector<float> values(static_cast<std::size_t>(size));
    for (float& value : values) value = mean + deviation * random_.normal();
    out_.add_tensor(name, {static_cast<std::uint64_t>(size)}, values);
  }
  void norm(const std::string& name, int size) { vector(name, size, 1.0f, 0.1f); }
  /// RoPE divisors from 1 for the fastest pair to `last` for the slowest.
  void factors(const std::string& name, int size, float last) {
    std::vector<float> values(static_cast<std::size_t>(size));
    for (int i = 0; i < size; ++i) {
      values[static_cast<std::size_t>(i)] =
          1.0f + (last - 1.0f) * static_cast<float>(i) / static_cast<float>(size - 1);
    }
    out_.add_tensor(name, {static_cast<std::uint64_t>(size)}, values);
  }

 private:
  GgufWriter& out_;
  TensorType type_;
  Random random_;
};

void add_attention(TensorMaker& make, const TinyModelSpec& spec, const std::string& blk) {
  // Queries and keys of twice the usual size, so that attention prefers some positions clearly.
  constexpr float kGain = 2.0f;
  const int q_rows = spec.n_heads * spec.head_dim;
  const int k_rows = spec.n_kv_heads * spec.head_dim;
  const int v_rows = spec.n_kv_heads * value_dim_of(spec);
  make.norm(blk + "attn_norm.weight", spec.n_embd);
  if (spec.architecture == "phi3") {
    make.matrix(blk + "attn_qkv.weight", q_rows + k_rows + v_rows, spec.n_embd, kGain);
  } else {
    make.matrix(blk + "attn_q.weight", q_rows, spec.n_embd, kGain);
    make.matrix(blk + "attn_k.weight", k_rows, spec.n_embd, kGain);
    make.matrix(blk + "attn_v.weight", v_rows, spec.n_embd);
  }
  if (spec.architecture == "qwen2") {
    make.vector(blk + "attn_q.bias", q_rows, 0.0f, 0.5f);
    make.vector(blk + "attn_k.bias", k_rows, 0.0f, 2.0f);
    make.vector(blk + "attn_v.bias", v_rows, 0.0f, 0.2f);
  }
  if (spec.architecture == "qwen3" || spec.architecture == "gemma3") {
    make.norm(blk + "attn_q_norm.weight", spec.head_dim);
    make.norm(blk + "attn_k_norm.weight", spec.head_dim);
  }
  make.matrix(blk + "attn_output.weight", spec.n_embd, spec.n_heads * value_dim_of(spec));
}

void add_ffn(TensorMaker& make, const TinyModelSpec& spec, const std::string& blk) {
  make.norm(blk + "ffn_norm.weight", spec.n_embd);
  if (spec.architecture == "phi3") {
    make.matrix(blk + "ffn_up.weight", 2 * spec.n_ff, spec.n_embd);
  } else {
    make.matrix(blk + "ffn_gate.weight", spec.n_ff, spec.n_embd);
    make.matrix(blk + "ffn_up.weight", spec.n_ff, spec.n_embd);
  }
  make.matrix(blk + "ffn_down.weight", spec.n_embd, spec.n_ff);
}

}  // namespace

TinyModelSpec tiny_spec(const std::string& architecture) {
  TinyModelSpec spec;
  spec.architecture = architecture;
  if (architecture == "gemma2") {
    spec.sliding_window = 32;
  } else if (architecture == "gemma3") {
    spec.n_layers = 3;
    spec.head_dim = 32;
    spec.rope_base = 1000000.0;
    spec.sliding_window = 32;
    spec.sliding_pattern = 3;
  } else if (architecture == "phi3") {
    spec.long_rope = true;
    spec.original_context = 128;
    spec.rope_attention_factor = 1.1;
  }
  return spec;
}

TinyModelSpec tiny_mixed_spec() {
  TinyModelSpec spec;
  spec.weight_type = TensorType::kQ8_0;
  spec.tied_output = false;
  spec.output_type = TensorType::kF16;
  return spec;
}

GgufWriter tiny_model(const TinyModelSpec& spec) {
  GgufWriter out;
  add_hparams(out, spec);
  add_tokenizer(out, spec.n_vocab);
  TensorMaker make(out, spec);
  make.matrix("token_embd.weight", spec.n_vocab, spec.n_embd);
  make.norm("output_norm.weight", spec.n_embd);
  if (!spec.tied_output) {
    make.matrix("output.weight", spec.n_vocab, spec.n_embd, 1.0f, spec.output_type);
  }
  const int pairs = (spec.n_rot == 0 ? spec.head_dim : spec.n_rot) / 2;
  if (spec.rope_freqs) make.factors("rope_freqs.weight", pairs, 8.0f);
  if (spec.long_rope) {
    make.factors("rope_factors_long.weight", pairs, 4.0f);
    make.factors("rope_factors_short.weight", pairs, 1.5f);
  }
  const bool post_norms = spec.architecture.starts_with("gemma");
  for (int i = 0; i < spec.n_layers; ++i) {
    const std::string blk = fmt::format("blk.{}.", i);
    add_attention(make, spec, blk);
    if (post_norms) make.norm(blk + "post_attention_norm.weight", spec.n_embd);
    add_ffn(make, spec, blk);
    if (post_norms) make.norm(blk + "post_ffw_norm.weight", spec.n_embd);
  }
  return out;
}

std::string write_tiny_model(const std::filesystem::path& dir, const TinyModelSpec& spec) {
  const std::filesystem::path path = dir / (spec.architecture + ".gguf");
  tiny_model(spec).write(path);
  return path.string();
}

}  // namespace quant::test
