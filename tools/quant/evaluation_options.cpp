// Options of compare, check, plan, score, diverge, attention and needle.
#include <fmt/format.h>

#include <charconv>

#include "option_parts.h"
#include "option_scope.h"
#include "quant/error.h"

namespace quant::tool {
namespace {

CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& description) {
  CLI::App* sub = app.add_subcommand(name, description);
  sub->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  return *sub;
}

/// "8GiB", "8G", "8GB", "512MiB", "1.5GiB", "123456": powers of 1024, as memory is sold.
std::size_t parse_bytes(const std::string& text) {
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  constexpr std::string_view kUnits = "KMGT";
  double factor = 1.0;
  bool known = unit.empty() || unit == "B";
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    const std::string letter(1, kUnits[i]);
    if (unit != letter && unit != letter + "B" && unit != letter + "iB") continue;
    known = true;
    for (std::size_t power = 0; power <= i; ++power) factor *= 1024.0;
  }
  const double bytes = number * factor;
  if (error != std::errc() || !known || !(bytes >= 0.0) || bytes > 1e18) {
    throw Error(ErrorKind::kUsage,
                fmt::format("'{}' is not an amount of memory; write it like 8GiB", text));
  }
  return static_cast<std::size_t>(bytes);
}

void add_bytes(CLI::App& app, const std::string& name, std::optional<std::size_t>& bytes,
               const std::string& description) {
  app.add_option_function<std::string>(
         name, [&bytes](const std::string& text) { bytes = parse_bytes(text); }, description)
      ->type_name("BYTES");
}

}  // namespace

void add_compare(CLI::App& app, RunOptions& run, PplOptions& ppl, CompareArguments& compare) {
  CLI::App& sub = add_command(app, "compare", "Measure KV formats side by side on the same tokens");
  add_run_options(sub, run);
  begin_group(sub, kTaskOptions);
  sub.get_option("-k")->description(
      "Configurations: K/V@window=N:k-window=N:v-window=N:sink=N, separated by commas");
  sub.add_option("--ppl", compare.texts, "Texts to measure on (- for standard input)")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->required()
      ->type_name("FILE");
  add_protocol_options(sub, ppl);
  add_record_options(sub, ppl);
  begin_group(sub, kTaskOptions);
  sub.add_option("--margin", compare.margin_percent,
                 "Perplexities within this many percent are equivalent")
      ->check(above_zero())
      ->type_name("PERCENT");
  add_file_option(sub, "--positions", compare.positions,
                  "Write loss, difference and divergence by position to a CSV file");
}

void add_check(CLI::App& app, RunOptions& run, CheckArguments& check) {
  CLI::App& sub = add_command(app, "check", "Repeat a measurement and compare it with its record");
  sub.add_option("baseline", check.baseline, "What --ppl or compare wrote with --json -o")
      ->required()
      ->type_name("BASELINE");
  sub.add_option("-m,--model", run.model, "Model file (default: the baseline's)")
      ->type_name("MODEL");
  sub.add_option("--ppl", check.texts, "Texts (default: the baseline's)")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("FILE");
  sub.add_option("--tolerance", check.tolerance,
                 "exact, relative, or interval (needs a baseline with --losses)")
      ->type_name("NAME");
  sub.add_option("--percent", check.percent,
                 "How much worse a perplexity may be (--tolerance relative)")
      ->check(from_zero())
      ->type_name("PERCENT");
  sub.add_flag("--update", check.update, "Write what is measured now as the baseline");
  add_file_option(sub, "--junit", check.junit, "Write a JUnit XML file");
  add_file_option(sub, "--summary", check.summary, "Append to a GitHub step summary");
  add_machine_options(sub, run.threads, run.isa);
  sub.add_flag("--json", run.json, "Print the result as JSON");
  add_output_option(sub, run);
}

void add_plan(CLI::App& app, RunOptions& run, PlanArguments& plan) {
  CLI::App& sub = add_command(app, "plan", "Memory and longest context of each KV format");
  add_run_options(sub, run);
  begin_group(sub, kTaskOptions);
  sub.add_option("--shape", plan.shape, "A published model's shape instead of a file")
      ->type_name("NAME");
  sub.get_option("-k")
      ->description("Configurations as in compare (default: the published table's)")
      ->each([&plan](const std::string&) { plan.configurations_given = true; });
  add_bytes(sub, "--ram", plan.ram, "Memory to plan for (default: this machine's)");
  add_bytes(sub, "--weights", plan.weights, "Memory of the weights (default: the file's tensors)");
  add_file_option(sub, "--quality", plan.quality,
                  "What compare --json -o wrote, for the quality columns");
}

void add_score(CLI::App& app, RunOptions& run, ScoreArguments& score) {
  CLI::App& sub = add_command(app, "score", "Log-likelihoods of continuations, JSON lines");
  add_run_options(sub, run);
  begin_group(sub, kTaskOptions);
  sub.add_option("jobs", score.jobs,
                 "JSON lines with context and continuation (default: standard input)")
      ->type_name("FILE");
  CLI::Option* choices = sub.add_flag(
      "--choices", score.choices,
      "Multiple choice: lines with context, endings and label; prints acc and acc_norm");
  sub.add_option("--delimiter", score.delimiter,
                 "What stands between context and ending (--choices; default: a space)")
      ->needs(choices)
      ->type_name("TEXT");
  sub.add_flag("--truncate", score.truncate, "Drop the beginning of contexts that are too long");
  sub.add_flag("--special", score.parse_special, "Read special tokens in the texts as such");
}

void add_diverge(CLI::App& app, RunOptions& run, DivergeArguments& diverge) {
  CLI::App& sub = add_command(app, "diverge", "Where greedy text leaves that of an FP32 cache");
  add_run_options(sub, run);
  begin_group(sub, kTaskOptions);
  add_file_option(sub, "--prompts", diverge.prompts, "Prompts, one a line (- for standard input)")
      ->required();
  sub.add_option("-n,--n-predict", diverge.n_predict, "Tokens to generate at most")
      ->check(at_least(1))
      ->type_name("N");
  sub.add_flag("--chat", diverge.chat, "Wrap each prompt in the model's chat template");
}

void add_attention(CLI::App& app, RunOptions& run, PplOptions& ppl, AttentionArguments& attention) {
  CLI::App& sub = add_command(app, "attention", "Where attention goes, by distance from the query");
  add_run_options(sub, run);
  begin_group(sub, kTaskOptions);
  sub.add_option("--ppl", attention.texts, "Texts to measure on (- for standard input)")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->required()
      ->type_name("FILE");
  sub.add_option("--from", attention.from,
                 "First position whose query counts (default: 2500, or 3/4 of a shorter context)")
      ->check(at_least(0))
      ->type_name("N");
  sub.add_option("--first", attention.first, "Tokens that count as a context's first (default: 4)")
      ->check(at_least(0))
      ->type_name("N");
  sub.add_option("--hold", attention.hold,
                 "Percents of the attention to find windows for (default: 50,70,90,99)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check(percent_above_zero())
      ->type_name("X,...");
  add_protocol_options(sub, ppl);
  begin_group(sub, kResultOptions);
  sub.add_flag("--heads", attention.heads, "A row for each head as well");
  sub.add_flag("--csv", attention.csv, "Print as CSV")->excludes(sub.get_option("--json"));
}

void add_needle(CLI::App& app, RunOptions& run, NeedleArguments& needle) {
  CLI::App& sub = add_command(app, "needle", "Whether a key hidden in a long text is found again");
  add_run_options(sub, run);
  begin_group(sub, kTaskOptions);
  sub.get_option("-k")->description("Configurations as in compare");
  add_file_option(sub, "--text", needle.text, "Text to hide it in (- for standard input)")
      ->required();
  const auto add_list = [&](const char* name, auto& values, const char* description) {
    return sub.add_option(name, values, description)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("N,...");
  };
  add_list("--lengths", needle.measure.lengths,
           "Tokens of prompt and answer together (default 1024,2048)")
      ->check(at_least(1));
  add_list("--depths", needle.measure.depths,
           "Where it is hidden, percent of the text before (default 0,25,50,75,100)");
  sub.add_option("--trials", needle.measure.trials, "Trials of each length and depth (default 4)")
      ->check(at_least(1))
      ->type_name("N");
  sub.add_option("-s,--seed", needle.measure.seed, "Seed of keys, wordings and pieces of text")
      ->check(seed_number())
      ->type_name("SEED");
  sub.add_flag("--chat", needle.chat, "Ask in the model's chat template");
  sub.add_flag("--allow-longer", needle.measure.allow_longer,
               "Allow lengths beyond the model's context length");
  begin_group(sub, kResultOptions);
  sub.add_flag("--csv", needle.csv, "Print the cells as CSV")->excludes(sub.get_option("--json"));
  add_file_option(sub, "--svg", needle.svg, "Write a heat map of each configuration");
}

}  // namespace quant::tool
