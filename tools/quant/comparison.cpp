#include "comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "configurations.h"
#include "console.h"

namespace quant::tool {
namespace {

/// What all records of a pass share, a configuration each: all but the results.
std::vector<Json> heads(const Lockstep& lockstep, const Json& machine) {
  std::vector<Json> records;
  for (int c = 0; c < lockstep.size(); ++c) {
    Json record = machine;
    record["batch"] = lockstep.options().batch;
    record.update(sequence_record(lockstep, c));
    records.push_back(std::move(record));
  }
  return records;
}

Json paired_record(const Comparison& comparison) {
  const PairedResult& paired = comparison.paired;
  Json record{{"delta_nll", paired.delta_nll},
              {"delta_nll_low", number_or_null(paired.interval.low)},
              {"delta_nll_high", number_or_null(paired.interval.high)},
              {"delta_nll_standard_error", number_or_null(paired.standard_error)}};
  if (record["delta_nll_low"].is_null() || record["delta_nll_high"].is_null()) {
    record["reason"] = fmt::format("{} blocks are too few for an interval", paired.blocks);
  }
  record["blocks"] = paired.blocks;
  record["p_value"] = comparison.adjusted_p;
  record["p_value_unadjusted"] = paired.p_value;
  record["worse_share"] = paired.worse_share;
  record["verdict"] = verdict_name(comparison.judgement.verdict);
  if (comparison.judgement.verdict == Verdict::kUnresolved) {
    const std::int64_t tokens = comparison.judgement.tokens_to_resolve;
    record["tokens_to_resolve"] = tokens > 0 ? Json(tokens) : Json(nullptr);
  }
  return record;
}

/// {baseline, rows} of results that were measured with a plan.
Json table_record(const ModelConfig& config, const std::vector<KvSpec>& specs,
                  const std::vector<Json>& heads, const Json& text, const EvalPlan& plan,
                  const LockstepResult& result, const std::vector<Comparison>& comparisons,
                  bool with_losses) {
  Json table{{"baseline", nullptr}, {"rows", Json::array()}};
  for (std::size_t c = 0; c < specs.size(); ++c) {
    Json record = heads[c];
    record.update(text);
    record.update(result_record(config, specs[c], plan, result.configurations[c], with_losses));
    if (c == 0) {
      table["baseline"] = std::move(record);
      continue;
    }
    record.update(paired_record(comparisons[c - 1]));
    record.update(divergence_record(divergence_of(result, static_cast<int>(c))));
    table["rows"].push_back(std::move(record));
  }
  return table;
}

/// Attention on exact rows of all configurations; nothing if it was not measured.
void add_exact_masses(Json& table, const std::vector<ExactMassShare>& shares) {
  if (shares.empty()) return;
  add_exact_mass(table["baseline"], shares[0]);
  for (std::size_t c = 1; c < shares.size(); ++c) add_exact_mass(table["rows"][c - 1], shares[c]);
}

void add_to_pool(const ExactMass& mass, std::vector<ExactMassShare>& text,
                 std::vector<ExactMassShare>& pool) {
  pool.resize(text.size());
  for (std::size_t c = 0; c < text.size(); ++c) {
    text[c] = mass.share(static_cast<int>(c));
    pool[c] = pooled(pool[c], text[c]);
  }
}

/// Averages in which each text counts the same.
Json macro_record(const std::vector<KvSpec>& specs, const std::vector<LockstepResult>& texts,
                  double margin_percent) {
  const std::vector<Comparison> comparisons = compare_macro(texts, margin_percent);
  Json table{{"baseline", nullptr}, {"rows", Json::array()}};
  for (std::size_t c = 0; c < specs.size(); ++c) {
    double nll = 0.0;
    for (const LockstepResult& text : texts) {
      nll += text.configurations[c].mean_nll / static_cast<double>(texts.size());
    }
    Json record{{"configuration", kv_spec_text(specs[c])},
                {"perplexity", number_or_null(std::exp(nll))},
                {"mean_nll", number_or_null(nll)}};
    if (c == 0) {
      table["baseline"] = std::move(record);
      continue;
    }
    record.update(paired_record(comparisons[c - 1]));
    table["rows"].push_back(std::move(record));
  }
  return table;
}

/// All texts as one plan and one record of texts: lists where there are several.
void add_to_pool(const EvalPlan& plan, const Json& text, EvalPlan& pool, Json& pooled_text) {
  pool.context = std::max(pool.context, plan.context);
  pool.windows.insert(pool.windows.end(), plan.windows.begin(), plan.windows.end());
  pool.text_tokens += plan.text_tokens;
  pool.dropped_tokens += plan.dropped_tokens;
  for (const char* name : {"text_path", "text_sha256", "tokens_sha256"}) {
    pooled_text[name].push_back(text[name]);
  }
  for (const char* name : {"protocol", "stride", "chunks", "text_offset"}) {
    if (text.contains(name)) pooled_text[name] = text[name];
  }
  pooled_text["context"] = pool.context;
  pooled_text["contexts"] = pool.windows.size();
  pooled_text["text_tokens"] = pool.text_tokens;
  pooled_text["dropped_tokens"] = pool.dropped_tokens;
}

}  // namespace

ComparisonMeasurement measure_comparison(const RunOptions& run, const PplOptions& ppl,
                                         const CompareArguments& compare_arguments) {
  const double margin = compare_arguments.margin_percent;
  ComparisonMeasurement out{configurations_with_baseline(run), {}, {}};
  const SessionOptions options = machine_options(run, MathMode::kExact);
  const PlanOptions wanted = plan_options(run, ppl);
  const auto model = Model::load(run.model, {.threads = options.threads});
  const Json machine = machine_record(*model, options, run);
  const ModelConfig& config = model->config();
  EvalPlan pool{};
  Json pooled_text;
  Json texts = Json::array();
  std::vector<ExactMassShare> pooled_masses;
  std::vector<Json> largest;
  for (const std::string& path : compare_arguments.texts) {
    const PlannedText text = plan_text(*model, path, wanted);
    say_what_is_left_out(text.plan);
    SessionOptions for_text = options_for(text.plan, options);
    ExactMass mass(config, out.specs);
    std::vector<ExactMassShare> masses(ppl.attention_mass ? out.specs.size() : 0);
    if (ppl.attention_mass) for_text.observer = &mass;
    Lockstep lockstep(model, for_text, out.specs);
    {
      ProgressBar bar(path);
      out.results.push_back(measure_lockstep(
          lockstep, text.plan,
          [&](std::int64_t done, std::int64_t total) { bar.update(done, total); }));
    }
    const LockstepResult& result = out.results.back();
    const Json described = text_record(text.plan, text.text, path, text.tokens);
    std::vector<Json> records = heads(lockstep, machine);
    texts.push_back(table_record(config, out.specs, records, described, text.plan, result,
                                 compare({&result, 1}, margin), ppl.losses));
    add_to_pool(mass, masses, pooled_masses);
    add_exact_masses(texts.back(), masses);
    add_to_pool(text.plan, described, pool, pooled_text);
    if (largest.empty() || records[0]["kv_bytes"] > largest[0]["kv_bytes"]) {
      largest = std::move(records);
    }
  }
  out.record = {{"schema_version", 1}, {"margin_percent", margin}};
  if (texts.size() == 1) {
    out.record.update(texts[0]);
  } else {
    out.record.update(table_record(config, out.specs, largest, pooled_text, pool,
                                   pooled(out.results), compare(out.results, margin), ppl.losses));
    add_exact_masses(out.record, pooled_masses);
    out.record["texts"] = std::move(texts);
    out.record["macro"] = macro_record(out.specs, out.results, margin);
  }
  if (const auto blocks = out.record["rows"][0]["blocks"].get<std::int64_t>();
      blocks < kFewBlocks) {
    warn(fmt::format("{} blocks of 64 tokens are few: intervals and verdicts are rough below {}",
                     blocks, kFewBlocks));
  }
  return out;
}

}  // namespace quant::tool
