// quant check: an earlier measurement, repeated and compared.
#include "check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "commands.h"
#include "comparison.h"
#include "console.h"
#include "files.h"
#include "quant/error.h"

namespace quant::tool {
namespace {

[[noreturn]] void refuse_record(const std::string& file) {
  throw Error(ErrorKind::kUsage, fmt::format("{}: not a record of --ppl or compare", file));
}

/// All configurations of a record, the baseline of a comparison first.
std::vector<Json> rows_of(const Json& record) {
  if (!record.contains("baseline")) return {record};
  std::vector<Json> rows = {record["baseline"]};
  rows.insert(rows.end(), record["rows"].begin(), record["rows"].end());
  return rows;
}

/// A record that was changed by hand, or mixed from several. Throws Error(kUsage).
void require_consistent(const Json& record, const std::string& file) {
  const Json& perplexity = record.at("perplexity");
  const double nll = record.at("mean_nll").get<double>();
  if (!perplexity.is_number()) {
    throw Error(ErrorKind::kUsage, fmt::format("{}: a record has no finite perplexity; --update "
                                               "measures the baseline again",
                                               file));
  }
  if (std::abs(std::log(perplexity.get<double>()) - nll) <= 1e-9 * std::max(1.0, nll)) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("{}: a perplexity of {} and a mean_nll of {} contradict each other; "
                          "--update measures the baseline again",
                          file, perplexity.get<double>(), nll));
}

/// What has to be run, as the baseline says it.
struct Repetition {
  RunOptions run;
  PplOptions ppl;
  CompareArguments compare;
  bool comparison;
};

/// A string or a list of strings.
std::vector<std::string> strings_of(const Json& value) {
  if (value.is_array()) return value.get<std::vector<std::string>>();
  return {value.get<std::string>()};
}

Repetition repetition_of(const Json& baseline, const RunOptions& run, const CheckArguments& check) {
  Repetition r{run, {}, {}, baseline.contains("baseline")};
  const Json& record = r.comparison ? baseline.at("baseline") : baseline;
  if (run.model.empty()) r.run.model = record.at("model_path").get<std::string>();
  r.run.context = record.at("context").get<int>();
  r.run.batch = std::max(record.at("batch").get<int>(), 1);
  r.run.math = record.at("math").get<std::string>();
  r.run.output.clear();
  if (record.at("text_path").is_null()) {
    throw Error(
        ErrorKind::kUsage,
        fmt::format("{} was measured on the tokens of a file of log-probabilities; make the "
                    "baseline with --ppl FILE",
                    check.baseline));
  }
  r.ppl.protocol = record.at("protocol").get<std::string>();
  r.ppl.stride = record.value("stride", 0);
  r.ppl.chunks = record.value("chunks", 0);
  r.ppl.offset = record.value("text_offset", std::int64_t{0});
  r.ppl.allow_longer = true;
  r.ppl.losses = record.contains("losses");
  r.ppl.attention_mass = record.contains("exact_key_mass");
  r.compare.texts = check.texts.empty() ? strings_of(record.at("text_path")) : check.texts;
  if (r.comparison) {
    r.compare.margin_percent = baseline.at("margin_percent").get<double>();
    r.run.key_type.clear();
    for (const Json& row : baseline.at("rows")) {
      r.run.key_type +=
          (r.run.key_type.empty() ? "" : ",") + row.at("configuration").get<std::string>();
    }
  } else {
    r.run.key_type = record.at("key_type").get<std::string>();
    r.run.value_type = record.at("value_type").get<std::string>();
    r.run.key_window = record.at("key_window").get<int>();
    r.run.value_window = record.at("value_window").get<int>();
    r.run.key_sink = r.run.value_sink = record.at("sink").get<int>();
  }
  return r;
}

/// Which hash differs, before hours are spent. Throws Error(kModel).
void require_comparable(const Json& baseline, const Repetition& r) {
  const Json& record = r.comparison ? baseline["baseline"] : baseline;
  const auto require = [&](const char* name, const std::string& what, const std::string& before,
                           const std::string& now) {
    if (before == now) return;
    throw Error(ErrorKind::kModel,
                fmt::format("not comparable: {} of {} is {}… and the baseline's is {}…; --update "
                            "makes a new baseline",
                            name, what, now.substr(0, 12), before.substr(0, 12)));
  };
  const auto model = Model::load(r.run.model, {.pack_weights = false});
  require("model_sha256", r.run.model, record["model_sha256"].get<std::string>(),
          sha256_of_files(model->paths()));
  const std::vector<std::string> texts = strings_of(record["text_sha256"]);
  const std::vector<std::string> tokens = strings_of(record["tokens_sha256"]);
  if (texts.size() != r.compare.texts.size()) {
    throw Error(ErrorKind::kUsage, fmt::format("{} texts given and the baseline has {}",
                                               r.compare.texts.size(), texts.size()));
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string& path = r.compare.texts[i];
    const std::string text = text_of(path, parse_protocol(r.ppl.protocol));
    require("text_sha256", path, texts[i], sha256_of(text));
    require("tokens_sha256", path, tokens[i], tokens_sha256(model->tokenizer().encode(text)));
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
  Repetition repetition{};
  try {
    repetition = repetition_of(baseline, run, check);
    for (const Json& row : rows_of(baseline)) {
      if (!check.update) require_consistent(row, check.baseline);
    }
  } catch (const Json::exception&) {
    refuse_record(check.baseline);
  }
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
  require_comparable(baseline, repetition);
  const Repeated now = repeat(repetition);
  const std::vector<Json> before_rows = rows_of(baseline);
  const std::vector<Json> now_rows = rows_of(now.record);
  std::vector<CheckedRow> rows;
  try {
    for (std::size_t i = 0; i < before_rows.size(); ++i) {
      rows.push_back(check_row(before_rows[i], now_rows[i], now.run_lengths, check));
    }
  } catch (const Json::exception&) {
    refuse_record(check.baseline);
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
