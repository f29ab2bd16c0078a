#include <fmt/format.h>

#include <map>

#include "commands.h"
#include "quant/model.h"
#include "record.h"

namespace quant::tool {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

std::string_view scaling_name(RopeScaling scaling) {
  switch (scaling) {
    case RopeScaling::kLinear:
      return "linear";
    case RopeScaling::kYarn:
      return "yarn";
    case RopeScaling::kLongRope:
      return "longrope";
    default:
      return "none";
  }
}

Json describe_model(const Model& model) {
  const ModelConfig& config = model.config();
  Json out{{"schema_version", 1},
           {"model_path", model.path()},
           {"name", config.name},
           {"architecture", config.architecture},
           {"parameters", model.parameters()},
           {"weight_bytes", model.weight_bytes()},
           {"n_layers", config.n_layers},
           {"n_embd", config.n_embd},
           {"n_heads", config.n_heads},
           {"n_kv_heads", config.n_kv_heads},
           {"key_dim", config.key_dim},
           {"value_dim", config.value_dim},
           {"n_ff", config.n_ff},
           {"n_vocab", config.n_vocab},
           {"context_length", config.context_length}};
  for (const RopeConfig& rope : config.ropes) {
    out["rope"].push_back({{"style", rope.style == RopeStyle::kNeoX ? "neox" : "normal"},
                           {"n_rot", rope.n_rot},
                           {"base", rope.base},
                           {"scaling", scaling_name(rope.scaling)},
                           {"factor", rope.factor}});
  }
  int sliding = 0;
  int window = 0;
  for (const LayerConfig& layer : config.layers) {
    if (layer.sliding_window == 0) continue;
    ++sliding;
    window = layer.sliding_window;
  }
  out["sliding_layers"] = sliding;
  out["sliding_window"] = window;
  for (const auto& [type, n] : model.tensor_types()) out["tensor_types"][type] = n;
  const Tokenizer& tokenizer = model.tokenizer();
  out["tokenizer"] = tokenizer.model_name();
  out["pre_tokenizer"] = tokenizer.pre_name();
  out["add_bos"] = tokenizer.add_bos();
  out["chat_template"] = !model.chat_template().empty();
  return out;
}

}  // namespace

void run_info(const RunOptions& run) {
  const auto model = Model::load(run.model, {.pack_weights = false});
  const Json out = describe_model(*model);
  if (run.json) {
    emit(run, to_text(out));
    return;
  }
  std::string text;
  for (const auto& [key, value] : out.items()) {
    if (key == "schema_version") continue;
    text += fmt::format(
        "{:<16} {}{}\n", key, value.dump(-1, ' ', false, Json::error_handler_t::replace),
        key == "weight_bytes" ? fmt::format(" ({:.1f} MiB)", value.get<double>() / kMiB) : "");
  }
  emit(run, text);
}

}  // namespace quant::tool
