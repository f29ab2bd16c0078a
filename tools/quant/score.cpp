#include "quant/score.h"

#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <sstream>

#include "commands.h"
#include "files.h"
#include "quant/error.h"
#include "record.h"

namespace quant::tool {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kUsage, message); }

/// Calls take(line) for each line that is not blank; errors name file and line.
void for_each_line(const std::string& path, const std::function<void(int, const Json&)>& take) {
  const bool piped = path == "-";  // read line by line, so that a program may wait for each answer
  std::istringstream file(piped ? "" : read_text(path));
  std::istream& in = piped ? std::cin : file;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = fmt::format("{}, line {}", piped ? "standard input" : path, number);
    try {
      take(number, Json::parse(line));
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", place, error.what()));
    } catch (const Json::parse_error& error) {
      refuse(fmt::format("{}: no JSON (byte {})", place, error.byte));
    }
  }
}

template <class T>
T field(const Json& job, const char* name, const char* what) {
  if (!job.is_object() || !job.contains(name)) refuse(fmt::format("\"{}\" is missing", name));
  try {
    return job[name].get<T>();
  } catch (const Json::exception&) {
    refuse(fmt::format("\"{}\" is not {}", name, what));
  }
}

std::string text_field(const Json& job, const char* name) {
  return field<std::string>(job, name, "a text");
}

/// One job a line, several for a text that is longer than the context.
std::vector<ScoreJob> jobs_of(const Json& line, const Session& session, bool parse_special) {
  const Tokenizer& tokenizer = session.model().tokenizer();
  if (line.is_object() && line.contains("text")) {
    return rolling_jobs(tokenizer, text_field(line, "text"), session.options().context,
                        parse_special);
  }
  if (line.is_object() && line.contains("context_ids")) {
    const auto ids = [&](const char* name) {
      return field<std::vector<Token>>(line, name, "a list of token ids");
    };
    return {ScoreJob{ids("context_ids"), ids("continuation_ids")}};
  }
  const std::string context = text_field(line, "context");
  const std::string continuation = text_field(line, "continuation");
  return {encode_job(tokenizer, context, continuation, parse_special)};
}

Session open_session(const RunOptions& run) {
  SessionOptions options = session_options(run, MathMode::kExact);
  options.context = run.context;
  return Session(Model::load(run.model, {.threads = options.threads}), options);
}

/// The jobs' scores as one.
Json score_record(const Json& line, int number, std::span<ScoreJob> jobs, bool truncate,
                  Scorer& scorer, std::int64_t room) {
  double sum = 0.0;
  bool greedy = true;
  std::int64_t reused = 0;
  std::int64_t dropped = 0;
  std::vector<Token> ids;
  std::vector<double> token_values;
  for (ScoreJob& job : jobs) {
    if (truncate) dropped += truncate_context(job, room);
    const Score score = scorer.score(job);
    sum += score.log_likelihood;
    greedy = greedy && score.greedy;
    reused += score.reused_tokens;
    ids.insert(ids.end(), job.continuation.begin(), job.continuation.end());
    token_values.insert(token_values.end(), score.token_log_likelihoods.begin(),
                        score.token_log_likelihoods.end());
  }
  Json record{{"line", number}};
  if (line.contains("id")) record["id"] = line["id"];
  record["log_likelihood"] = sum;
  record["greedy"] = greedy;
  record["continuation_ids"] = ids;
  record["token_log_likelihoods"] = token_values;
  record["context_tokens"] = jobs.front().context.size();
  record["reused_tokens"] = reused;
  record["dropped_tokens"] = dropped;
  return record;
}

std::string one_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// One line of results for each line of jobs, as soon as it is known.
void score_lines(const RunOptions& run, const ScoreArguments& arguments) {
  Session session = open_session(run);
  Scorer scorer(session);
  std::string collected;
  for_each_line(arguments.jobs, [&](int number, const Json& line) {
    std::vector<ScoreJob> jobs = jobs_of(line, session, arguments.parse_special);
    const std::string result = one_line(
        score_record(line, number, jobs, arguments.truncate, scorer, session.options().context));
    if (run.output.empty()) {
      print_now(result);
    } else {
      collected += result;
    }
  });
  if (!run.output.empty()) emit(run, collected);
}

struct Item {
  std::string context;
  std::vector<std::string> endings;
  int label;
};

Item item_of(const Json& line) {
  Item item{text_field(line, "context"),
            field<std::vector<std::string>>(line, "endings", "a list of texts"),
            field<int>(line, "label", "a whole number")};
  if (item.endings.empty()) refuse("\"endings\" is empty");
  for (const std::string& ending : item.endings) {
    if (ending.empty()) refuse("an ending is empty");
  }
  if (item.label < 0 || item.label >= static_cast<int>(item.endings.size())) {
    refuse(fmt::format("label {} is none of {} endings", item.label, item.endings.size()));
  }
  return item;
}

std::string report(const Json& r) {
  const auto line = [&](const std::string& name) {
    const Json& error = r[name + "_stderr"];
    return fmt::format("{:<10} {:.4f}{}\n", name, r[name].get<double>(),
                       error.is_null() ? "" : fmt::format(" ± {:.4f}", error.get<double>()));
  };
  return line("acc") + line("acc_norm") + fmt::format("{:<10} {}\n", "items", r["items"].size());
}

void measure_choices(const RunOptions& run, const ScoreArguments& arguments) {
  Session session = open_session(run);
  Scorer scorer(session);
  Json items = Json::array();
  std::vector<double> right;
  std::vector<double> right_norm;
  for_each_line(arguments.jobs, [&](int number, const Json& line) {
    const Item item = item_of(line);
    std::vector<double> sums;
    for (const std::string& ending : item.endings) {
      ScoreJob job = encode_job(session.model().tokenizer(), item.context,
                                arguments.delimiter + ending, arguments.parse_special);
      if (arguments.truncate) truncate_context(job, session.options().context);
      sums.push_back(scorer.score(job).log_likelihood);
    }
    const Choice choice = choose(sums, item.endings);
    right.push_back(choice.likeliest == item.label ? 1.0 : 0.0);
    right_norm.push_back(choice.likeliest_norm == item.label ? 1.0 : 0.0);
    items.push_back({{"line", number},
                     {"label", item.label},
                     {"choice", choice.likeliest},
                     {"choice_norm", choice.likeliest_norm},
                     {"log_likelihoods", sums}});
  });
  if (right.empty()) refuse("there are no items to choose from");
  Json record = configuration_record(session, run);
  const auto add = [&](const std::string& name, const std::vector<double>& values) {
    const Accuracy accuracy = accuracy_of(values);
    record[name] = accuracy.value;
    record[name + "_stderr"] = number_or_null(accuracy.standard_error);
  };
  record["jobs_path"] = arguments.jobs;
  add("acc", right);
  add("acc_norm", right_norm);
  record["items"] = std::move(items);
  emit(run, run.json ? to_text(record) : report(record));
}

}  // namespace

void run_score(const RunOptions& run, const ScoreArguments& arguments) {
  if (arguments.choices) {
    measure_choices(run, arguments);
  } else {
    score_lines(run, arguments);
  }
}

}  // namespace quant::tool
