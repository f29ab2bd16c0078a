#include "check_baseline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/error.h"

namespace quant::tool {
namespace {

[[noreturn]] void refuse(const std::string& file, const std::string& why) {
  throw Error(ErrorKind::kUsage, fmt::format("{}: {}", file, why));
}

/// Runs read(); what a record lacks, or has in another type, is an Error(kUsage).
template <class Read>
auto of_a_record(const std::string& file, const Read& read) {
  try {
    return read();
  } catch (const Json::exception&) {
    refuse(file, "not a record of --ppl or compare");
  }
}

/// A string or a list of strings.
std::vector<std::string> strings_of(const Json& value) {
  if (value.is_array()) return value.get<std::vector<std::string>>();
  return {value.get<std::string>()};
}

/// A whole number as the option that it stands for takes it.
int count_of(const Json& record, const char* name, int least, const std::string& file) {
  const Json& value = record.at(name);
  if (value.is_number_integer() && value >= least && value <= std::numeric_limits<int>::max()) {
    return value.get<int>();
  }
  refuse(file, fmt::format("{} is {}, not a whole number from {} on", name, value.dump(), least));
}

/// The same where 0 stands for an option that was not given.
int count_if_given(const Json& record, const char* name, const std::string& file) {
  return record.contains(name) ? count_of(record, name, 0, file) : 0;
}

void set_protocol(PplOptions& ppl, const Json& record, const std::string& file) {
  ppl.protocol = record.at("protocol").get<std::string>();
  ppl.stride = count_if_given(record, "stride", file);
  ppl.chunks = count_if_given(record, "chunks", file);
  ppl.offset = count_if_given(record, "text_offset", file);
  ppl.allow_longer = true;
  ppl.losses = record.contains("losses");
  ppl.attention_mass = record.contains("exact_key_mass");
}

void set_one_cache(RunOptions& run, const Json& record, const std::string& file) {
  run.key_type = record.at("key_type").get<std::string>();
  run.value_type = record.at("value_type").get<std::string>();
  run.key_window = count_of(record, "key_window", 0, file);
  run.value_window = count_of(record, "value_window", 0, file);
  run.key_sink = run.value_sink = count_of(record, "sink", 0, file);
}

std::string configurations_of(const Json& rows) {
  std::string all;
  for (const Json& row : rows) {
    all += (all.empty() ? "" : ",") + row.at("configuration").get<std::string>();
  }
  return all;
}

Repetition read_repetition(const Json& baseline, const RunOptions& run,
                           const CheckArguments& check) {
  const std::string& file = check.baseline;
  Repetition r;
  r.run = run;
  r.comparison = baseline.contains("baseline");
  const Json& record = r.comparison ? baseline.at("baseline") : baseline;
  if (record.at("text_path").is_null()) {
    refuse(file,
           "measured on the tokens of a file of log-probabilities; make the baseline with "
           "--ppl FILE");
  }
  if (run.model.empty()) r.run.model = record.at("model_path").get<std::string>();
  r.run.context = count_of(record, "context", 1, file);
  r.run.batch = std::max(count_of(record, "batch", 0, file), 1);
  r.run.math = record.at("math").get<std::string>();
  r.run.output.clear();
  set_protocol(r.ppl, record, file);
  r.compare.texts = check.texts.empty() ? strings_of(record.at("text_path")) : check.texts;
  r.model_sha256 = record.at("model_sha256").get<std::string>();
  r.text_sha256 = strings_of(record.at("text_sha256"));
  r.tokens_sha256 = strings_of(record.at("tokens_sha256"));
  if (r.text_sha256.size() != r.tokens_sha256.size()) {
    refuse(file, "text_sha256 and tokens_sha256 are not of the same texts");
  }
  if (r.comparison) {
    r.compare.margin_percent = baseline.at("margin_percent").get<double>();
    r.run.key_type = configurations_of(baseline.at("rows"));
  } else {
    set_one_cache(r.run, record, file);
  }
  return r;
}

void require_losses(const Json& record, const std::string& file) {
  const Json& losses = record.at("losses");
  const auto is_number = [](const Json& loss) { return loss.is_number(); };
  if (losses.is_array() && record.at("scored_tokens") == losses.size() &&
      std::ranges::all_of(losses, is_number)) {
    return;
  }
  refuse(file,
         "its losses are not one number for each scored token; --update measures the "
         "baseline again");
}

void require_consistent_row(const Json& record, const std::string& file) {
  const Json& perplexity = record.at("perplexity");
  const double nll = record.at("mean_nll").get<double>();
  if (!perplexity.is_number()) {
    refuse(file, "a record has no finite perplexity; --update measures the baseline again");
  }
  if (std::abs(std::log(perplexity.get<double>()) - nll) > 1e-9 * std::max(1.0, nll)) {
    refuse(file, fmt::format("a perplexity of {} and a mean_nll of {} contradict each other; "
                             "--update measures the baseline again",
                             perplexity.get<double>(), nll));
  }
  if (!record.at("kv_bytes").is_number_integer()) {
    refuse(file, "kv_bytes is no number; --update measures the baseline again");
  }
  if (record.contains("losses")) require_losses(record, file);
}

}  // namespace

Repetition repetition_of(const Json& baseline, const RunOptions& run, const CheckArguments& check) {
  return of_a_record(check.baseline, [&] { return read_repetition(baseline, run, check); });
}

std::vector<Json> rows_of(const Json& record) {
  if (!record.contains("baseline")) return {record};
  std::vector<Json> rows = {record["baseline"]};
  rows.insert(rows.end(), record["rows"].begin(), record["rows"].end());
  return rows;
}

void require_consistent(const Json& baseline, const std::string& file) {
  of_a_record(file, [&] {
    for (const Json& row : rows_of(baseline)) require_consistent_row(row, file);
  });
}

}  // namespace quant::tool
