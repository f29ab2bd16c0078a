#include "cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "files.h"
#include "measure.h"
#include "quant/error.h"
#include "quant/memory.h"
#include "quant/version.h"

namespace quant::tool {
namespace {

/// Memory beside weights, cache and activations: the program, the tokenizer, the losses.
constexpr std::int64_t kOverhead = 64 << 20;
/// Threads that memory is planned for; each takes less than a MiB.
constexpr int kThreads = 16;

struct LoadedModel {
  std::shared_ptr<const Model> model;
  std::string sha256;
};

struct LoadedText {
  std::string text;
  std::string sha256;
};

/// An FP32 side is exact without a window or a sink, which would only cost memory.
KvSpec spec_of(const std::string& types, int k_window, int v_window, int sink) {
  KvSpec spec =
      parse_kv_spec(types, {{KvType::kFp16, k_window, sink}, {KvType::kFp16, v_window, sink}});
  for (KvSide* side : {&spec.key, &spec.value}) {
    if (side->type == KvType::kFp32) side->window = 0;
  }
  if (spec.key.type == KvType::kFp32 && spec.value.type == KvType::kFp32) {
    spec.key.sink = spec.value.sink = 0;
  }
  return spec;
}

std::vector<KvSpec> specs_of(const GridTable& table) {
  std::vector<std::pair<int, int>> windows;
  for (const int both : table.windows) windows.emplace_back(both, both);
  if (windows.empty()) {
    for (const int k : table.k_windows) {
      for (const int v : table.v_windows) windows.emplace_back(k, v);
    }
  }
  std::vector<KvSpec> specs;
  for (const std::string& types : table.types) {
    for (const auto& [k, v] : windows) {
      for (const int sink : table.sinks) specs.push_back(spec_of(types, k, v, sink));
    }
  }
  return specs;
}

std::int64_t memory_of(const Model& model, const KvSpec& kv, const EvalPlan& plan, int batch) {
  const ModelConfig& config = model.config();
  const std::size_t cache = cache_bytes(config, kv, batch, plan.session_context);
  const std::size_t working = working_bytes(config, batch, kThreads, plan.session_context);
  return static_cast<std::int64_t>(model.weight_bytes() + cache + working) + kOverhead;
}

double work_of(const Model& model, const EvalPlan& plan) {
  const ModelConfig& c = model.config();
  const double seen = static_cast<double>(plan.context) / 2.0;
  const double attention = seen * c.n_layers * c.n_heads * (c.key_dim + c.value_dim);
  return static_cast<double>(plan.run_tokens()) *
         (static_cast<double>(model.parameters()) + attention);
}

class Planner {
 public:
  void add(const GridTable& table) {
    parse_math_mode(table.math);
    const std::vector<KvSpec> specs = specs_of(table);
    for (const std::string& model : table.models) {
      for (const std::string& text : table.texts) {
        for (const int context : table.contexts) {
          for (const std::int64_t seed : table.seeds) {
            add_place({table, model, text, context, seed}, specs);
          }
        }
      }
    }
  }

  std::vector<Cell> take() { return std::move(cells_); }

 private:
  /// What cells share that differ in their KV formats alone.
  struct Place {
    const GridTable& table;
    const std::string& model;
    const std::string& text;
    int context;
    std::int64_t seed;
  };

  void add_place(const Place& place, const std::vector<KvSpec>& specs) {
    const LoadedModel& model = load_model(place.model);
    const LoadedText& text = load_text(place.text, parse_protocol(place.table.protocol));
    const std::vector<Token>& tokens = tokenize(place, model, text);
    Cell common;
    common.seed = static_cast<std::uint64_t>(place.seed);
    common.run.model = place.model;
    common.run.math = place.table.math;
    common.ppl.text = place.text;
    common.ppl.protocol = place.table.protocol;
    common.ppl.stride = place.table.stride;
    common.ppl.chunks = place.table.chunks;
    common.ppl.allow_longer = place.table.allow_longer;
    common.ppl.attention_mass = place.table.attention_mass;
    common.ppl.offset =
        seed_offset(common.seed, static_cast<std::int64_t>(tokens.size()), place.context);
    common.run.context = place.context;
    const EvalPlan plan = [&] {
      try {
        return plan_evaluation(*model.model, tokens, plan_options(common.run, common.ppl));
      } catch (const Error& error) {
        throw Error(error.kind(), fmt::format("{}, {}: {}", place.model, place.text, error.what()));
      }
    }();
    common.run.context = plan.session_context;
    common.run.batch = std::min(place.table.batch, plan.context);
    common.tokens = plan.run_tokens();
    common.work = work_of(*model.model, plan);
    for (const KvSpec& kv : specs) add_cell(common, model, text, plan, kv);
  }

  void add_cell(Cell cell, const LoadedModel& model, const LoadedText& text, const EvalPlan& plan,
                const KvSpec& kv) {
    cell.run.key_type = kv_format_info(kv.key.type).name;
    cell.run.value_type = kv_format_info(kv.value.type).name;
    cell.run.key_window = kv.key.window;
    cell.run.value_window = kv.value.window;
    cell.run.key_sink = cell.run.value_sink = kv.key.sink;
    cell.label = describe(kv);
    cell.memory_bytes = memory_of(*model.model, kv, plan, cell.run.batch);
    const bool strided = plan.protocol == Protocol::kStrided;
    cell.determinants = {{"version", version()},
                         {"engine_sha256", source_sha256()},
                         {"model_sha256", model.sha256},
                         {"text_sha256", text.sha256},
                         {"protocol", cell.ppl.protocol},
                         {"context", cell.run.context},
                         {"stride", strided ? cell.ppl.stride : 0},
                         {"chunks", cell.ppl.chunks},
                         {"text_offset", cell.ppl.offset},
                         {"math", cell.run.math},
                         {"batch", cell.run.batch},
                         {"key_type", cell.run.key_type},
                         {"value_type", cell.run.value_type},
                         {"key_window", cell.run.key_window},
                         {"value_window", cell.run.value_window},
                         {"sink", cell.run.key_sink}};
    if (cell.ppl.attention_mass) cell.determinants["attention_mass"] = true;
    cell.key = sha256_of(cell.determinants.dump());
    if (keys_.insert(cell.key).second) cells_.push_back(std::move(cell));
  }

  const LoadedModel& load_model(const std::string& path) {
    const auto known = models_.find(path);
    if (known != models_.end()) return known->second;
    std::shared_ptr<const Model> model = Model::load(path, {.pack_weights = false});
    std::string hash = sha256_of_files(model->paths());
    return models_.emplace(path, LoadedModel{std::move(model), std::move(hash)}).first->second;
  }

  const LoadedText& load_text(const std::string& path, Protocol protocol) {
    const auto name = std::pair(path, protocol);
    const auto known = texts_.find(name);
    if (known != texts_.end()) return known->second;
    std::string text = text_of(path, protocol);
    std::string hash = sha256_of(text);
    return texts_.emplace(name, LoadedText{std::move(text), std::move(hash)}).first->second;
  }

  const std::vector<Token>& tokenize(const Place& place, const LoadedModel& model,
                                     const LoadedText& text) {
    const auto [at, fresh] = tokens_.try_emplace({place.model, text.sha256});
    if (fresh) at->second = encode_text(model.model->tokenizer(), place.text, text.text);
    return at->second;
  }

  std::map<std::string, LoadedModel> models_;
  std::map<std::pair<std::string, Protocol>, LoadedText> texts_;
  std::map<std::pair<std::string, std::string>, std::vector<Token>> tokens_;
  std::set<std::string> keys_;
  std::vector<Cell> cells_;
};

}  // namespace

std::vector<Cell> plan_cells(const std::vector<GridTable>& tables) {
  Planner planner;
  for (const GridTable& table : tables) planner.add(table);
  return planner.take();
}

const Cell& find_cell(const std::vector<Cell>& cells, const std::string& key) {
  const Cell* found = nullptr;
  for (const Cell& cell : cells) {
    if (key.empty() || !cell.key.starts_with(key)) continue;
    if (found != nullptr) {
      throw Error(ErrorKind::kUsage, fmt::format("more than one cell begins with '{}'", key));
    }
    found = &cell;
  }
  if (found != nullptr) return *found;
  throw Error(ErrorKind::kUsage,
              fmt::format("the grid has no cell '{}'; --list shows those it has. A cell's key "
                          "changes with the model, the text and the engine",
                          key));
}

}  // namespace quant::tool
