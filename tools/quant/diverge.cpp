#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "chat.h"
#include "commands.h"
#include "console.h"
#include "files.h"
#include "quant/error.h"
#include "quant/greedy.h"
#include "record.h"

namespace quant::tool {
namespace {

struct Prompt {
  std::string text;
  std::vector<Token> tokens;
};

/// One prompt a line; blank lines are skipped.
std::vector<Prompt> prompts_of(const std::string& path, const Model& model, bool chat) {
  std::istringstream lines(read_text(path));
  std::vector<Prompt> prompts;
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    prompts.push_back({line, prompt_tokens(model, line, chat)});
  }
  if (prompts.empty()) {
    throw Error(ErrorKind::kUsage, fmt::format("{}: there are no prompts, one a line", path));
  }
  return prompts;
}

/// Positions that the longest prompt and its text need; refuses what the context cannot hold.
int context_for(const std::vector<Prompt>& prompts, const RunOptions& run, int n_predict,
                const ModelConfig& config) {
  const int limit = run.context > 0 ? run.context : config.context_length;
  std::size_t longest = 0;
  for (const Prompt& prompt : prompts) longest = std::max(longest, prompt.tokens.size());
  if (longest + static_cast<std::size_t>(n_predict) > static_cast<std::size_t>(limit)) {
    throw Error(ErrorKind::kUsage,
                fmt::format("the longest prompt's {} tokens and -n {} exceed the context of {}; "
                            "lower -n or raise -c",
                            longest, n_predict, limit));
  }
  return static_cast<int>(longest) + n_predict;
}

Json loop_record(const std::optional<Loop>& loop) {
  if (!loop.has_value()) return nullptr;
  return {{"start", loop->start}, {"period", loop->period}};
}

Json row_of(const Prompt& prompt, const GreedyComparison& c, const Tokenizer& tokenizer) {
  return {{"prompt", prompt.text},
          {"prompt_tokens", prompt.tokens.size()},
          {"first_difference",
           c.first_difference.has_value() ? Json(*c.first_difference) : Json(nullptr)},
          {"baseline_tokens", c.baseline.size()},
          {"generated_tokens", c.tokens.size()},
          {"baseline_loop", loop_record(c.baseline_loop)},
          {"loop", loop_record(c.loop)},
          {"baseline_text", tokenizer.decode(c.baseline)},
          {"text", tokenizer.decode(c.tokens)}};
}

std::string report(const Json& r) {
  std::string out = "prompt  first difference  loop (FP32)  loop\n";
  const auto loop = [](const Json& l) {
    return l.is_null() ? std::string("-") : fmt::format("period {}", l["period"].get<int>());
  };
  int number = 0;
  for (const Json& row : r["rows"]) {
    const Json& first = row["first_difference"];
    out +=
        fmt::format("{:>6}  {:>16}  {:>11}  {}\n", ++number,
                    first.is_null() ? fmt::format("none in {}", row["generated_tokens"].get<int>())
                                    : fmt::format("token {}", first.get<int>() + 1),
                    loop(row["baseline_loop"]), loop(row["loop"]));
  }
  return out +
         fmt::format(
             "\n{} prompts, up to {} tokens each: {} texts as with an FP32 cache, the others leave "
             "it\nafter {:.1f} tokens (median over all; mean {:.1f}); loops: FP32 {}, {}/{} {}\n",
             r["prompts"].get<int>(), r["n_predict"].get<int>(), r["identical"].get<int>(),
             r["agreed_tokens_median"].get<double>(), r["agreed_tokens_mean"].get<double>(),
             r["baseline_loops"].get<int>(), r["key_type"].get<std::string>(),
             r["value_type"].get<std::string>(), r["loops"].get<int>());
}

}  // namespace

void run_diverge(const RunOptions& run, const DivergeArguments& arguments) {
  SessionOptions options = session_options(run, MathMode::kExact);
  const auto model = Model::load(run.model, {.threads = options.threads});
  const std::vector<Prompt> prompts = prompts_of(arguments.prompts, *model, arguments.chat);
  options.context = context_for(prompts, run, arguments.n_predict, model->config());
  options.reserve = options.context;
  SessionOptions fp32 = options;
  fp32.kv = {{KvType::kFp32, 0, 0}, {KvType::kFp32, 0, 0}};
  Session baseline(model, fp32);
  Session session(model, options);
  std::vector<GreedyComparison> comparisons;
  Json rows = Json::array();
  {
    ProgressBar bar("prompts");
    for (const Prompt& prompt : prompts) {
      comparisons.push_back(compare_greedy(baseline, session, prompt.tokens, arguments.n_predict));
      rows.push_back(row_of(prompt, comparisons.back(), model->tokenizer()));
      bar.update(static_cast<std::int64_t>(comparisons.size()),
                 static_cast<std::int64_t>(prompts.size()));
    }
  }
  const GreedySummary summary = summarize_greedy(comparisons);
  Json record = configuration_record(session, run);
  record["prompts_path"] = arguments.prompts;
  record["chat"] = arguments.chat;
  record["n_predict"] = arguments.n_predict;
  record["prompts"] = summary.prompts;
  record["identical"] = summary.identical;
  record["agreed_tokens_mean"] = summary.agreed_tokens_mean;
  record["agreed_tokens_median"] = summary.agreed_tokens_median;
  record["baseline_loops"] = summary.baseline_loops;
  record["loops"] = summary.loops;
  record["rows"] = std::move(rows);
  record["peak_rss_bytes"] = peak_rss_bytes();
  emit(run, run.json ? to_text(record) : report(record));
}

}  // namespace quant::tool
