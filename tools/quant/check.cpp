// quant check: an earlier measurement, repeated and compared.
#include "check.h"

#include <fmt/format.h>

#include <algorithm>

#include "check_baseline.h"
#include "commands.h"
#include "comparison.h"
#include "console.h"
#include "files.h"
#include "quant/error.h"

namespace quant::tool {
namespace {

/// Which hash differs, before hours are spent. Throws Error(kModel).
void require_comparable(const Repetition& r) {
  const auto require = [&](const char* name, const std::string& what, const std::string& before,
                           const std::string& now) {
    if (before == now) return;
    throw Error(ErrorKind::kModel,
                fmt::format("not comparable: {} of {} is {}… and the baseline's is {}…; --update "
                            "makes a new baseline",
                            name, what, now.substr(0, 12), before.substr(0, 12)));
  };
  const auto model = Model::load(r.run.model, {.pack_weights = false});
  require("model_sha256", r.run.model, r.model_sha256, sha256_of_files(model->paths()));
  if (r.text_sha256.size() != r.compare.texts.size()) {
    throw Error(ErrorKind::kUsage, fmt::format("{} texts given and the baseline has {}",
                                               r.compare.texts.size(), r.text_sha256.size()));
  }
  for (std::size_t i = 0; i < r.text_sha256.size(); ++i) {
    const std::string& path = r.compare.texts[i];
    const std::string text = text_of(path, parse_protocol(r.ppl.protocol));
    require("text_sha256", path, r.text_sha256[i], sha256_of(text));
    require("tokens_sha256", path, r.tokens_sha256[i],
            tokens_sha256(model->tokenizer().encode(text)));
  }
}

std::vector<std::int64_t> run_lengths(const EvalPlan& plan) {
  std::vector<std::int64_t> lengths;
  for (const EvalWindow& window : plan.windows) {
    lengths.push_back(static_cast<std::int64_t>(window.tokens.size()) - window.first_scored);
  }
  return lengths;
}

struct Repeated {
  Json record;
  std::vector<std::int64_t> run_lengths;
};

Repeated repeat(const Repetition& r) {
  if (r.comparison) {
    ComparisonMeasurement measured = measure_comparison(r.run, r.ppl, r.compare);
    return {std::move(measured.record), pooled(measured.results).run_lengths};
  }
  if (r.compare.texts.size() != 1) {
    throw Error(ErrorKind::kUsage, "the baseline was measured on one text");
  }
  ProgressBar bar("perplexity");
  Measurement measured =
      measure_text(r.run, r.ppl, r.compare.texts.front(),
                   [&](std::int64_t done, std::int64_t total) { bar.update(done, total); });
  say_what_is_left_out(measured.plan);
  return {std::move(measured.record), run_lengths(measured.plan)};
}

void write_reports(const CheckArguments& check, const std::vector<CheckedRow>& rows) {
  if (!check.junit.empty()) write_file(check.junit, junit_xml(check.baseline, rows));
  if (!check.summary.empty()) append_file(check.summary, github_summary(check.baseline, rows));
}

}  // namespace

void run_check(const RunOptions& run, const CheckArguments& check) {
  parse_tolerance(check.tolerance);
  for (const std::string& path : {check.junit, check.summary}) {
    if (!path.empty()) check_writable(path);
  }
  const Json baseline = read_record(check.baseline);
  const Repetition repetition = repetition_of(baseline, run, check);
  if (!check.update) require_consistent(baseline, check.baseline);
  if (std::ranges::find(repetition.compare.texts, "-") != repetition.compare.texts.end()) {
    throw Error(ErrorKind::kUsage,
                "a text from standard input cannot be read twice: give its file "
                "with --ppl");
  }
  if (parse_tolerance(check.tolerance) == Tolerance::kInterval && !repetition.ppl.losses) {
    throw Error(ErrorKind::kUsage,
                fmt::format("{} has no losses of single tokens for an interval: write it with "
                            "--losses --json -o FILE",
                            check.baseline));
  }
  if (check.update) {
    if (!check.texts.empty() || !run.model.empty()) {
      note(fmt::format("contexts of {} tokens, as in the baseline", repetition.run.context));
    }
    write_file(check.baseline, to_text(repeat(repetition).record));
    const Json updated{{"schema_version", 1}, {"baseline", check.baseline}, {"updated", true}};
    emit(run, run.json ? to_text(updated) : fmt::format("{}: updated\n", check.baseline));
    return;
  }
  require_comparable(repetition);
  const Repeated now = repeat(repetition);
  const std::vector<Json> before_rows = rows_of(baseline);
  const std::vector<Json> now_rows = rows_of(now.record);
  std::vector<CheckedRow> rows;
  for (std::size_t i = 0; i < before_rows.size(); ++i) {
    rows.push_back(check_row(before_rows[i], now_rows[i], now.run_lengths, check));
  }
  write_reports(check, rows);
  const auto failed = std::ranges::find(rows, false, &CheckedRow::passed);
  if (run.json) {
    Json out{{"schema_version", 1},
             {"baseline", check.baseline},
             {"tolerance", check.tolerance},
             {"passed", failed == rows.end()},
             {"rows", Json::array()}};
    for (const CheckedRow& row : rows) out["rows"].push_back(row.record);
    emit(run, to_text(out));
  } else {
    emit(run, check_table(rows));
  }
  if (failed != rows.end()) {
    throw Error(ErrorKind::kEvaluation,
                fmt::format("regression: {}: {}", failed->name, failed->message));
  }
}

}  // namespace quant::tool
