// quant plan: what fits into memory, before anything is run.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "commands.h"
#include "configurations.h"
#include "console.h"
#include "files.h"
#include "quant/cpu.h"
#include "quant/error.h"
#include "quant/memory.h"
#include "record.h"

namespace quant::tool {
namespace {

/// Columns of the table, unless -c names one.
constexpr std::int64_t kContexts[] = {4096, 16384, 32768, 65536, 131072};
/// The published table's rows, corrected, and the formats beside them.
constexpr const char* kPublished =
    "fp32/fp32,fp16/fp16,turbo_kv_4b/fp16,turbo_kv_4b/fp16@k-window=128,uniform_2b/fp16,"
    "uniform_2b/fp16@k-window=128,uniform_2b/fp16@k-window=256,uniform_2b/fp16@k-window=512,"
    "turbo_kv_4b/turbo_kv_4b,turbo_kv_4b/turbo_kv_4b@window=128:sink=4";

/// What is planned for.
struct Machine {
  ModelConfig config;
  std::string name;
  std::vector<std::string> files;  // of the model; none of a shape
  std::size_t ram;
  std::size_t weights;
  int batch;
  int threads;
  std::vector<std::int64_t> contexts;
};

Machine machine_of(const RunOptions& run, const PlanArguments& plan) {
  if (run.model.empty() == plan.shape.empty()) {
    throw Error(ErrorKind::kUsage,
                "plan needs a model file or --shape NAME, and not both: quant plan model.gguf "
                "--ram 8GiB");
  }
  Machine machine{.config = {},
                  .name = plan.shape,
                  .files = {},
                  .ram = plan.ram.value_or(usable_memory()),
                  .weights = plan.weights.value_or(0),
                  .batch = run.batch,
                  .threads = machine_options(run, MathMode::kFast).threads,
                  .contexts = {std::begin(kContexts), std::end(kContexts)}};
  if (run.context > 0) machine.contexts = {run.context};
  if (!plan.shape.empty()) {
    machine.config = shape_config(plan.shape);
    return machine;
  }
  const auto model = Model::load(run.model, {.pack_weights = false});
  machine.config = model->config();
  machine.name = run.model;
  machine.files = model->paths();
  machine.weights = plan.weights.value_or(static_cast<std::size_t>(model->weight_bytes()));
  return machine;
}

/// Throws Error(kModel) if another model was measured than what is planned for. A shape has no file
/// to compare.
void require_same_model(const Json& measured, const std::string& file, const Machine& machine) {
  if (machine.files.empty()) return;
  const Json& record = measured.contains("baseline") ? measured["baseline"] : measured;
  if (record.value("model_sha256", "") == sha256_of_files(machine.files)) return;
  throw Error(ErrorKind::kModel, fmt::format("{} was measured with another model: {}", file,
                                             record.value("model_path", "it names none")));
}

/// The measured record of a configuration, or null.
Json quality_of(const Json& measured, const KvSpec& spec) {
  if (measured.is_null()) return nullptr;
  const Json wanted = spec_record(spec);
  const auto matches = [&](const Json& record) {
    return std::ranges::all_of(wanted.items(), [&](const auto& item) {
      return record.contains(item.key()) && record[item.key()] == item.value();
    });
  };
  if (!measured.contains("baseline")) return matches(measured) ? measured : Json(nullptr);
  if (matches(measured["baseline"])) return measured["baseline"];
  for (const Json& row : measured["rows"]) {
    if (matches(row)) return row;
  }
  return nullptr;
}

Json plan_row(const Machine& machine, const KvSpec& spec, const Json& measured) {
  Json row{{"configuration", kv_spec_text(spec)}};
  row.update(spec_record(spec));
  row["kv_bytes"] = Json::object();
  for (const std::int64_t positions : machine.contexts) {
    row["kv_bytes"][std::to_string(positions)] =
        cache_bytes(machine.config, spec, machine.batch, positions);
  }
  const std::size_t room = machine.ram - std::min(machine.ram, machine.weights);
  row["longest_context"] =
      longest_context(machine.config, spec, machine.batch, machine.threads, room);
  const Json quality = quality_of(measured, spec);
  for (const char* name : {"perplexity", "delta_nll", "verdict", "kl_mean"}) {
    if (quality.contains(name)) row[name] = quality[name];
  }
  return row;
}

Json plan_record(const Machine& machine, const std::vector<KvSpec>& specs, const Json& measured) {
  const ModelConfig& config = machine.config;
  Json record{{"schema_version", 2},
              {"model", machine.name},
              {"n_layers", config.n_layers},
              {"n_kv_heads", config.n_kv_heads},
              {"key_dim", config.key_dim},
              {"value_dim", config.value_dim},
              {"context_length", config.context_length},
              {"ram_bytes", machine.ram},
              {"weight_bytes", machine.weights},
              {"weights_fit", machine.weights < machine.ram},
              {"working_bytes", Json::object()},
              {"batch", machine.batch},
              {"threads", machine.threads},
              {"rows", Json::array()}};
  for (const std::int64_t positions : machine.contexts) {
    record["working_bytes"][std::to_string(positions)] =
        working_bytes(config, machine.batch, machine.threads, positions);
  }
  for (const KvSpec& spec : specs) {
    record["rows"].push_back(plan_row(machine, spec, measured));
  }
  return record;
}

std::string quality_cells(const Json& row) {
  std::string delta = "-";
  if (row.contains("delta_nll") && row["delta_nll"].is_number()) {
    delta = fmt::format("{:+.2f} %", 100.0 * std::expm1(row["delta_nll"].get<double>()));
  }
  const bool has_kl = row.contains("kl_mean") && row["kl_mean"].is_number();
  return fmt::format(" {} | {} | {} |", delta, row.value("verdict", "-"),
                     has_kl ? fmt::format("{:.5f}", row["kl_mean"].get<double>()) : "-");
}

/// "32K" where that is exact.
std::string context_text(std::int64_t positions) {
  return positions % 1024 == 0 ? fmt::format("{}K", positions / 1024)
                               : fmt::format("{}", positions);
}

std::string report(const Json& r, const std::vector<std::int64_t>& contexts, bool quality) {
  const std::string first = std::to_string(contexts.front());
  const std::int64_t trained = r["context_length"].get<std::int64_t>();
  std::string out = fmt::format(
      "{}: {} layers, {} KV heads of {} (values {}), trained for {} tokens\n"
      "{} of memory, {} of weights{}, {} of working memory at {} tokens (batch {}, {})\n{}\n",
      r["model"].get<std::string>(), r["n_layers"].get<int>(), r["n_kv_heads"].get<int>(),
      r["key_dim"].get<int>(), r["value_dim"].get<int>(), trained,
      format_bytes(r["ram_bytes"].get<double>()), format_bytes(r["weight_bytes"].get<double>()),
      r["weight_bytes"] == 0 ? " (a shape has none: --weights)" : "",
      format_bytes(r["working_bytes"][first].get<double>()), first, r["batch"].get<int>(),
      counted(r["threads"].get<int>(), "thread"),
      r["weights_fit"].get<bool>() ? "" : "The weights alone take all of the memory.\n");
  out += "| keys/values | longest context |";
  std::string line = "|---|---|";
  for (const std::int64_t positions : contexts) {
    out += fmt::format(" {} |", context_text(positions));
    line += "---|";
  }
  if (quality) {
    out += " Δ PPL | verdict | mean KL |";
    line += "---|---|---|";
  }
  out += "\n" + line + "\n";
  bool beyond = false;
  for (const Json& row : r["rows"]) {
    const std::int64_t longest = row["longest_context"].get<std::int64_t>();
    beyond = beyond || longest > trained;
    out += fmt::format("| {} | {}{} |", row["configuration"].get<std::string>(), longest,
                       longest > trained ? "*" : "");
    for (const auto& [positions, bytes] : row["kv_bytes"].items()) {
      out += fmt::format(" {} |", format_bytes(bytes.get<double>()));
    }
    out += (quality ? quality_cells(row) : "") + "\n";
  }
  if (beyond) out += "\n* more than the model was trained for\n";
  return out;
}

}  // namespace

void run_plan(const RunOptions& run, const PlanArguments& plan) {
  RunOptions chosen = run;
  if (!plan.configurations_given) chosen.key_type = kPublished;
  const std::vector<KvSpec> specs = configurations(chosen);
  const Machine machine = machine_of(run, plan);
  const Json measured = plan.quality.empty() ? Json(nullptr) : read_record(plan.quality);
  if (!measured.is_null()) require_same_model(measured, plan.quality, machine);
  const Json record = plan_record(machine, specs, measured);
  emit(run, run.json ? to_text(record) : report(record, machine.contexts, !plan.quality.empty()));
}

}  // namespace quant::tool
