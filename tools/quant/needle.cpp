// quant needle: keys hidden in long texts, and whether they are found again.
#include "quant/needle.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "chat.h"
#include "commands.h"
#include "configurations.h"
#include "console.h"
#include "files.h"
#include "measure.h"
#include "needle_report.h"
#include "quant/error.h"
#include "quant/proportion.h"

namespace quant::tool {
namespace {

/// All trials under all configurations.
struct NeedleMeasurement {
  std::vector<std::vector<Retrieval>> retrievals;  // [configurations][prompts]
  std::vector<Json> heads;                         // of each configuration, at the longest length
  double seconds = 0.0;
  std::int64_t run_tokens = 0;
};

std::int64_t run_tokens_of(std::span<const NeedlePrompt> prompts) {
  return std::accumulate(prompts.begin(), prompts.end(), std::int64_t{0},
                         [](std::int64_t n, const NeedlePrompt& p) { return n + p.length - 1; });
}

/// One pass a length: sessions are as long as their prompts.
NeedleMeasurement measure(const std::shared_ptr<const Model>& model, const SessionOptions& options,
                          const std::vector<KvSpec>& specs,
                          const std::vector<NeedlePrompt>& prompts) {
  NeedleMeasurement out;
  out.retrievals.resize(specs.size());
  const std::int64_t total = run_tokens_of(prompts);
  const int longest = std::ranges::max(prompts, {}, &NeedlePrompt::length).length;
  ProgressBar bar("needles");
  for (auto begin = prompts.begin(); begin != prompts.end();) {
    const auto end = std::find_if(begin, prompts.end(),
                                  [&](const NeedlePrompt& p) { return p.length != begin->length; });
    const EvalPlan plan = needle_plan({begin, end});
    Lockstep lockstep(model, options_for(plan, options), specs);
    const LockstepResult result = measure_lockstep(
        lockstep, plan,
        [&](std::int64_t done, std::int64_t) { bar.update(out.run_tokens + done, total); });
    out.run_tokens += plan.run_tokens();
    out.seconds += result.configurations.front().seconds;
    for (int c = 0; c < lockstep.size(); ++c) {
      const std::vector<Retrieval> part = retrievals_of(result, c);
      auto& all = out.retrievals[static_cast<std::size_t>(c)];
      all.insert(all.end(), part.begin(), part.end());
      if (begin->length == longest) out.heads.push_back(sequence_record(lockstep, c));
    }
    begin = end;
  }
  return out;
}

Json summary_record(std::span<const Retrieval> retrievals) {
  const RetrievalSummary summary = summarize_retrievals(retrievals);
  return {{"trials", summary.trials},
          {"exact_matches", summary.exact},
          {"log_probability", number_or_null(summary.log_probability)}};
}

/// A configuration on its own: pooled, by length and depth, and each trial.
Json row_of(const Json& head, const std::vector<Retrieval>& retrievals,
            const std::vector<NeedlePrompt>& prompts, int trials) {
  Json row = head;
  row.update(summary_record(retrievals));
  const std::int64_t n = static_cast<std::int64_t>(retrievals.size());
  const std::int64_t exact = row["exact_matches"].get<std::int64_t>();
  const Interval rate = wilson_interval(exact, n);
  row["exact_match_rate"] = static_cast<double>(exact) / static_cast<double>(n);
  row["exact_match_low"] = rate.low;
  row["exact_match_high"] = rate.high;
  for (std::size_t i = 0; i < prompts.size(); i += static_cast<std::size_t>(trials)) {
    Json cell{{"length", prompts[i].length}, {"depth", prompts[i].depth}};
    cell.update(summary_record(std::span(retrievals).subspan(i, static_cast<std::size_t>(trials))));
    row["cells"].push_back(std::move(cell));
  }
  for (const Retrieval& r : retrievals) {
    row["exact"].push_back(r.exact);
    row["log_probabilities"].push_back(number_or_null(r.log_probability));
  }
  return row;
}

Json comparison_record(const RetrievalComparison& c) {
  Json record{{"lost", c.lost},
              {"gained", c.gained},
              {"mcnemar_p", c.adjusted_mcnemar_p},
              {"mcnemar_p_unadjusted", c.mcnemar_p},
              {"delta_log_probability", number_or_null(-c.paired.delta_nll)},
              {"delta_log_probability_low", number_or_null(-c.paired.interval.high)},
              {"delta_log_probability_high", number_or_null(-c.paired.interval.low)}};
  if (record["delta_log_probability_low"].is_null() ||
      record["delta_log_probability_high"].is_null()) {
    record["reason"] = fmt::format("{} trials are too few for an interval", c.paired.blocks);
  }
  record["p_value"] = c.adjusted_p;
  record["p_value_unadjusted"] = c.paired.p_value;
  record["worse_share"] = c.paired.worse_share;
  return record;
}

Json prompt_record(const NeedlePrompt& prompt) {
  return {{"length", prompt.length},
          {"depth", prompt.depth},
          {"trial", prompt.trial},
          {"statement", prompt.statement},
          {"key", prompt.key},
          {"placed_depth", prompt.placed},
          {"text_begin", prompt.begin},
          {"text_end", prompt.end},
          {"answer_tokens",
           static_cast<std::int64_t>(prompt.window.tokens.size()) - prompt.window.first_scored}};
}

Json record_of(const Json& machine, const NeedleArguments& arguments, const std::string& text,
               const std::vector<NeedlePrompt>& prompts, const NeedleMeasurement& measured) {
  Json record = machine;
  record["text_path"] = arguments.text;
  record["text_sha256"] = sha256_of(text);
  std::vector<Token> tokens;
  for (const NeedlePrompt& p : prompts) {
    tokens.insert(tokens.end(), p.window.tokens.begin(), p.window.tokens.end());
  }
  record["tokens_sha256"] = tokens_sha256(tokens);
  record["form"] = arguments.chat ? "chat" : "text";
  record["lengths"] = arguments.measure.lengths;
  record["depths"] = arguments.measure.depths;
  record["trials"] = arguments.measure.trials;
  record["seed"] = arguments.measure.seed;
  record["seconds"] = measured.seconds;
  record["tokens_per_second"] = static_cast<double>(measured.run_tokens) / measured.seconds;
  record["peak_rss_bytes"] = peak_rss_bytes();
  const std::vector<RetrievalComparison> comparisons = compare_retrievals(measured.retrievals);
  record["baseline"] = nullptr;
  record["rows"] = Json::array();
  for (std::size_t c = 0; c < measured.heads.size(); ++c) {
    Json row = row_of(measured.heads[c], measured.retrievals[c], prompts, arguments.measure.trials);
    if (c == 0) {
      record["baseline"] = std::move(row);
      continue;
    }
    row.update(comparison_record(comparisons[c - 1]));
    record["rows"].push_back(std::move(row));
  }
  for (const NeedlePrompt& p : prompts) record["prompts"].push_back(prompt_record(p));
  return record;
}

}  // namespace

void run_needle(const RunOptions& run, const NeedleArguments& arguments) {
  if (run.context > 0) {
    throw Error(ErrorKind::kUsage, "-c has no effect with needle; --lengths says how long it is");
  }
  if (!arguments.svg.empty()) check_writable(arguments.svg);
  const std::vector<KvSpec> specs = configurations_with_baseline(run);
  const SessionOptions options = machine_options(run, MathMode::kExact);
  const std::string text = text_of(arguments.text, Protocol::kContext);
  const auto model = Model::load(run.model, {.threads = options.threads});
  NeedleOptions wanted = arguments.measure;
  if (arguments.chat) wanted.chat = require_chat_format(*model);
  const std::vector<NeedlePrompt> prompts = needle_prompts(*model, text, wanted);
  note(fmt::format("{} prompts, {} tokens, through {} configurations at once", prompts.size(),
                   run_tokens_of(prompts), specs.size()));
  const NeedleMeasurement measured = measure(model, options, specs, prompts);
  const Json record =
      record_of(machine_record(*model, options, run), arguments, text, prompts, measured);
  if (!arguments.svg.empty()) write_file(arguments.svg, needle_picture(record));
  emit(run, run.json        ? to_text(record)
            : arguments.csv ? needle_csv(record)
                            : needle_report(record));
}

}  // namespace quant::tool
