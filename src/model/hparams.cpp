#include "model/hparams.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/error.h"

namespace quant {
namespace {

// Far beyond any known model; they keep products within 64 bits and allocations small.
constexpr int kMaxLayers = 512;
constexpr int kMaxWidth = 1 << 20;
constexpr int kMaxHeads = 1024;
constexpr int kMinHeadDim = 16;
constexpr int kMaxHeadDim = 512;
// Vectors of every kernel divide this many values.
constexpr int kGranule = 16;
constexpr int kMaxInt = std::numeric_limits<int>::max();

void check_granule(const Hparams& hparams, std::string_view what, int value) {
  if (value % kGranule != 0) {
    hparams.fail(fmt::format("{} {} is not a multiple of {}", what, value, kGranule));
  }
}

RopeScaling read_scaling(const Hparams& hparams) {
  const std::string_view name = hparams.text_or("rope.scaling.type", "linear");
  if (name == "none") return RopeScaling::kNone;
  if (name == "linear") return RopeScaling::kLinear;
  if (name == "yarn") return RopeScaling::kYarn;
  if (name == "longrope") return RopeScaling::kLongRope;
  hparams.fail("rope.scaling.type is not one of none, linear, yarn and longrope");
}

RopeConfig read_rope(const Hparams& hparams, const ModelConfig& config, RopeStyle style) {
  RopeConfig rope;
  rope.style = style;
  rope.n_rot = hparams.integer_or("rope.dimension_count", config.key_dim, 2, config.key_dim);
  if (rope.n_rot % 2 != 0) {
    hparams.fail(fmt::format("rope.dimension_count {} is not even", rope.n_rot));
  }
  rope.base = hparams.positive_or("rope.freq_base", 10000.0);
  // YaRN divides by the base's logarithm.
  if (rope.base <= 1.0) hparams.fail(fmt::format("rope.freq_base {} is not above 1", rope.base));
  rope.scaling = read_scaling(hparams);
  // Older files call the factor scale_linear; 0 means that there is none.
  const double factor = hparams.non_negative_or("rope.scaling.factor",
                                                hparams.non_negative_or("rope.scale_linear", 0.0));
  if (factor != 0.0 && rope.scaling != RopeScaling::kNone) rope.factor = factor;
  if (rope.scaling == RopeScaling::kLinear && rope.factor == 1.0) rope.scaling = RopeScaling::kNone;
  rope.original_context = hparams.integer_or("rope.scaling.original_context_length", 0, 0, kMaxInt);
  if (rope.original_context == 0) rope.original_context = config.context_length;
  rope.attention_factor = hparams.positive_or("rope.scaling.attn_factor", 1.0);
  return rope;
}

}  // namespace

Hparams::Hparams(const GgufFile& file)
    : file_(file), architecture_(file.require_string("general.architecture")) {}

std::string Hparams::general_name() const {
  return std::string(file_.get_string("general.name").value_or(""));
}

bool Hparams::has(std::string_view suffix) const { return file_.find(key(suffix)) != nullptr; }

int Hparams::integer(std::string_view suffix, int min, int max) const {
  const std::string name = key(suffix);
  const MetadataValue* value = file_.find(name);
  std::int64_t number = 0;
  if (value != nullptr && std::holds_alternative<MetadataArray>(*value)) {
    const std::vector<std::int64_t>& array = *file_.get_ints(name);
    if (array.empty() || std::count(array.begin(), array.end(), array.front()) !=
                             static_cast<std::ptrdiff_t>(array.size())) {
      fail(fmt::format("{} differs between layers, which is not supported", name));
    }
    number = array.front();
  } else {
    number = file_.require_int(name);
  }
  if (number < min || number > max) {
    fail(fmt::format("{} is {}: expected {} to {}", name, number, min, max));
  }
  return static_cast<int>(number);
}

int Hparams::integer_or(std::string_view suffix, int fallback, int min, int max) const {
  return has(suffix) ? integer(suffix, min, max) : fallback;
}

double Hparams::positive(std::string_view suffix) const {
  const double number = file_.require_float(key(suffix));
  if (!(number > 0.0) || !std::isfinite(number)) {
    fail(fmt::format("{} is {}: expected a number above 0", key(suffix), number));
  }
  return number;
}

double Hparams::positive_or(std::string_view suffix, double fallback) const {
  return has(suffix) ? positive(suffix) : fallback;
}

double Hparams::non_negative_or(std::string_view suffix, double fallback) const {
  const double number = file_.get_float(key(suffix)).value_or(fallback);
  if (!(number >= 0.0) || !std::isfinite(number)) {
    fail(fmt::format("{} is {}: expected 0 or a positive number", key(suffix), number));
  }
  return number;
}

std::string_view Hparams::text_or(std::string_view suffix, std::string_view fallback) const {
  return file_.get_string(key(suffix)).value_or(fallback);
}

std::vector<bool> Hparams::flags(std::string_view suffix, std::size_t n) const {
  const MetadataValue* value = file_.find(key(suffix));
  const auto* array = value == nullptr ? nullptr : std::get_if<MetadataArray>(value);
  if (array == nullptr) return {};
  if (array->size() != n) {
    fail(fmt::format("{} has {} elements: expected {}", key(suffix), array->size(), n));
  }
  if (const auto* truths = std::get_if<std::vector<bool>>(&array->values)) return *truths;
  std::vector<bool> result;
  for (const std::int64_t number : *file_.get_ints(key(suffix))) result.push_back(number != 0);
  return result;
}

void Hparams::fail(const std::string& problem) const {
  throw Error(ErrorKind::kModel, fmt::format("{}: {}", file_.path(), problem));
}

std::string Hparams::key(std::string_view suffix) const {
  return fmt::format("{}.{}", architecture_, suffix);
}

ModelConfig read_common(const Hparams& hparams, RopeStyle style) {
  if (hparams.integer_or("expert_count", 0, 0, kMaxInt) > 0) {
    hparams.fail("a mixture of experts, which is not supported: use a dense model");
  }
  ModelConfig config;
  config.architecture = hparams.architecture();
  config.name = hparams.general_name();
  config.context_length = hparams.integer("context_length", 1, kMaxInt);
  config.n_layers = hparams.integer("block_count", 1, kMaxLayers);
  config.n_embd = hparams.integer("embedding_length", kGranule, kMaxWidth);
  check_granule(hparams, "embedding_length", config.n_embd);
  config.n_ff = hparams.integer("feed_forward_length", kGranule, kMaxWidth);
  check_granule(hparams, "feed_forward_length", config.n_ff);
  config.n_heads = hparams.integer("attention.head_count", 1, kMaxHeads);
  config.n_kv_heads = hparams.integer_or("attention.head_count_kv", config.n_heads, 1, kMaxHeads);
  if (config.n_heads % config.n_kv_heads != 0) {
    hparams.fail(fmt::format("attention.head_count {} is not a multiple of head_count_kv {}",
                             config.n_heads, config.n_kv_heads));
  }
  const int even_share = config.n_embd / config.n_heads;
  config.key_dim = hparams.integer_or("attention.key_length", even_share, kMinHeadDim, kMaxHeadDim);
  config.value_dim =
      hparams.integer_or("attention.value_length", even_share, kMinHeadDim, kMaxHeadDim);
  check_granule(hparams, "the head size of keys", config.key_dim);
  check_granule(hparams, "the head size of values", config.value_dim);
  config.norm_eps = static_cast<float>(hparams.positive("attention.layer_norm_rms_epsilon"));
  config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.key_dim));
  config.ropes.push_back(read_rope(hparams, config, style));
  config.layers.resize(static_cast<std::size_t>(config.n_layers));
  return config;
}

void mark_sliding_layers(const Hparams& hparams, int window, int default_pattern,
                         ModelConfig& config) {
  constexpr std::string_view kKey = "attention.sliding_window_pattern";
  const std::vector<bool> marks = hparams.flags(kKey, config.layers.size());
  const auto pattern = static_cast<std::size_t>(
      marks.empty() ? hparams.integer_or(kKey, default_pattern, 0, kMaxLayers) : 0);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const bool sliding =
        !marks.empty() ? static_cast<bool>(marks[i]) : pattern == 0 || i % pattern != pattern - 1;
    if (sliding) config.layers[i].sliding_window = window;
  }
}

}  // namespace quant
