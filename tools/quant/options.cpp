#include "options.h"

#include <fmt/format.h>

#include <iostream>

#include "arguments.h"
#include "console.h"
#include "option_parts.h"
#include "option_scope.h"
#include "quant/error.h"
#include "quant/version.h"

namespace quant::tool {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  quant model.gguf --ppl text.txt -k turbo_kv_4b --k-window 128\n"
    "  quant model.gguf -p \"Once upon a time\" -n 64 -k turbo_kv_4b -v turbo_kv_4b\n"
    "  quant bench model.gguf -d 0,4096 -k turbo_kv_4b -v turbo_kv_4b\n"
    "  quant compare model.gguf --ppl text.txt -k turbo_kv_4b,turbo_kv_4b@k-window=128\n"
    "  quant check baseline.json\n"
    "  quant plan --shape llama-3.2-3b --ram 8GiB\n"
    "  quant sweep grid.toml -o runs && quant report runs\n"
    "  quant score model.gguf jobs.jsonl -k turbo_kv_4b\n"
    "  quant diverge model.gguf --prompts prompts.txt -k turbo_kv_4b -v turbo_kv_4b\n"
    "  quant attention model.gguf --ppl text.txt\n"
    "  quant needle model.gguf --text novel.txt -k turbo_kv_4b/turbo_kv_4b --svg needle.svg\n"
    "  quant types\n"
    "  quant tokenize model.gguf text.txt --ids\n";

void add_task_options(CLI::App& app, Options& options, bool& info) {
  begin_group(app, kTaskOptions);
  app.add_option("--ppl,--perplexity", options.ppl.text,
                 "Measure perplexity of a text (- or a pipe: standard input)")
      ->type_name("FILE")
      ->expected(0, 1)
      ->default_str("");
  app.add_option("-p,--prompt", options.generate.prompt,
                 "Generate text after a prompt (- for standard input)")
      ->type_name("PROMPT");
  add_file_option(app, "-f,--file", options.generate.prompt_file,
                  "File with the prompt, or with the text of --ppl");
  app.add_flag("--info", info, "Print what is in the model file");
}

void add_logits_options(CLI::App& app, PplOptions& ppl) {
  begin_group(app, kLogitsOptions);
  add_file_option(app, "--save-logits", ppl.save_logits,
                  "Write log-probabilities as llama-perplexity --kl-divergence-base does");
  add_file_option(app, "--kl-base", ppl.kl_base,
                  "Measure KL divergence from the log-probabilities in a file of that kind");
}

void add_generate_options(CLI::App& app, GenerateOptions& generate) {
  begin_group(app, kGenerateOptions);
  app.add_option("-n,--n-predict", generate.n_predict, "Tokens to generate at most")
      ->check(at_least(1))
      ->type_name("N");
  app.add_flag("--chat", generate.chat, "Wrap the prompt in the model's chat template");
  SamplerOptions& sampler = generate.sampler;
  app.add_option("-T,--temp", sampler.temperature,
                 "Temperature (default 0: always the most likely)")
      ->type_name("T");
  app.add_option("--top-k", sampler.top_k, "Sample from the K most likely (0: all)")
      ->type_name("K");
  app.add_option("--top-p", sampler.top_p, "Sample from this share of the probability")
      ->type_name("P");
  app.add_option("--min-p", sampler.min_p, "Drop what is below this share of the most likely")
      ->type_name("P");
  app.add_option("--repeat-penalty", sampler.repeat_penalty, "Penalty of the last 64 tokens")
      ->type_name("X");
  app.add_option("-s,--seed", sampler.seed, "Seed of the sampler")
      ->check(seed_number())
      ->type_name("SEED");
}

void add_tokenize(CLI::App& app, TokenizeOptions& tokenize) {
  CLI::App* sub = app.add_subcommand("tokenize", "Print the tokens of a text");
  sub->add_option("model", tokenize.model, "Model or vocabulary file (GGUF)")->required();
  sub->add_option("text", tokenize.text, "Text file, - for standard input")->required();
  sub->add_flag("--ids", tokenize.ids_only, "Print the ids alone, separated by spaces");
  sub->add_flag("--no-bos", tokenize.no_bos, "Never put BOS in front");
  sub->add_flag("--special", tokenize.parse_special, "Read special tokens in the text as such");
  sub->add_flag("--json", tokenize.json, "Print as JSON");
}

void add_bench(CLI::App& app, RunOptions& run, BenchArguments& bench) {
  CLI::App* sub = app.add_subcommand("bench", "Measure speed beside the machine's limits");
  sub->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_run_options(*sub, run);
  begin_group(*sub, kTaskOptions);
  sub->add_option("-p,--prefill,--n-prompt", bench.measure.prefill,
                  "Tokens of a timed prefill (default 512; 0: none)")
      ->check(at_least(0))
      ->type_name("N");
  sub->add_option("-n,--decode,--n-gen", bench.measure.decode,
                  "Tokens decoded one by one (default 64; 0: none)")
      ->check(at_least(0))
      ->type_name("N");
  sub->add_option("-d,--depth,--n-depth", bench.depths,
                  "Positions in the cache before, comma-separated (default 0,4096,7680, as far as "
                  "the context goes)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->check(at_least(0))
      ->type_name("N,...");
  sub->add_option("-r,--repetitions", bench.measure.repetitions, "Timed repetitions (default 5)")
      ->check(at_least(1))
      ->type_name("R");
  begin_group(*sub, kResultOptions);
  CLI::Option* json = sub->get_option("--json");
  CLI::Option* csv = sub->add_flag("--csv", bench.csv, "Print as CSV")->excludes(json);
  sub->add_flag_callback(
         "--md", [] {}, "Print as Markdown (the default)")
      ->excludes(csv)
      ->excludes(json);
}

Command command_of(const CLI::App& app, const Options& options, bool info) {
  if (app.got_subcommand("types")) return Command::kTypes;
  if (app.got_subcommand("tokenize")) return Command::kTokenize;
  if (app.got_subcommand("sweep")) return Command::kSweep;
  if (app.got_subcommand("report")) return Command::kReport;
  if (app.got_subcommand("plan")) return Command::kPlan;
  if (app.got_subcommand("check")) return Command::kCheck;
  const bool bench = app.got_subcommand("bench");
  if (options.run.model.empty()) {
    throw Error(ErrorKind::kUsage, "no model given; try: quant model.gguf --ppl text.txt");
  }
  if (bench) return Command::kBench;
  if (app.got_subcommand("compare")) return Command::kCompare;
  if (app.got_subcommand("score")) return Command::kScore;
  if (app.got_subcommand("diverge")) return Command::kDiverge;
  if (app.got_subcommand("attention")) return Command::kAttention;
  if (app.got_subcommand("needle")) return Command::kNeedle;
  const bool generate = options.generate.prompt.has_value() ||
                        (!options.generate.prompt_file.empty() && !options.ppl.requested);
  if (static_cast<int>(info) + static_cast<int>(options.ppl.requested) +
          static_cast<int>(generate) >
      1) {
    throw Error(ErrorKind::kUsage, "--info, --ppl and -p exclude each other");
  }
  if (info) return Command::kInfo;
  if (options.ppl.requested) return Command::kPerplexity;
  if (generate) return Command::kGenerate;
  throw Error(ErrorKind::kUsage,
              "nothing to do: give --ppl FILE, -p PROMPT or --info (see quant --help)");
}

}  // namespace

Options parse_options(int argc, const char* const* argv) {
  Options options;
  CLI::App app("Runs language models with a compressed KV cache and measures what that costs.",
               "quant");
  app.footer(kExamples);
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", std::string("quant ") + std::string(version()));
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  bool info = false;
  add_task_options(app, options, info);
  begin_group(app, kOtherOptions);
  add_run_options(app, options.run);
  add_protocol_options(app, options.ppl);
  add_record_options(app, options.ppl);
  add_logits_options(app, options.ppl);
  add_generate_options(app, options.generate);
  begin_group(app, kOtherOptions);
  CLI::App* types = app.add_subcommand("types", "List the KV formats");
  types->add_flag("--json", options.types_json, "Print as JSON");
  add_tokenize(app, options.tokenize);
  add_bench(app, options.run, options.bench);
  add_sweep(app, options.sweep);
  add_report(app, options.run, options.report);
  add_compare(app, options.run, options.ppl, options.compare);
  add_check(app, options.run, options.check);
  add_plan(app, options.run, options.plan);
  add_score(app, options.run, options.score);
  add_diverge(app, options.run, options.diverge);
  add_attention(app, options.run, options.ppl, options.attention);
  add_needle(app, options.run, options.needle);

  const std::vector<std::string> arguments = arguments_of(argc, argv);
  const auto used = [&app]() -> const CLI::App& {
    const std::vector<CLI::App*> given = app.get_subcommands();
    return given.empty() ? app : *given.front();
  };
  refuse_mistyped_command(app, arguments);
  refuse_long_names_with_one_dash(app, arguments);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return options;
  } catch (const CLI::CallForVersion& version_text) {
    std::cout << version_text.what() << '\n';
    return options;
  } catch (const CLI::ExtrasError& e) {
    throw Error(ErrorKind::kUsage, explain_unknown(used(), e.what(), arguments));
  } catch (const CLI::RequiredError& e) {
    const std::string command = used().get_parent() == nullptr ? "" : used().get_name() + " ";
    throw Error(ErrorKind::kUsage, fmt::format("{}; see: quant {}--help", e.what(), command));
  } catch (const CLI::ParseError& e) {
    throw Error(ErrorKind::kUsage, e.what());
  }
  options.ppl.requested = app.count("--ppl") > 0;
  options.command = command_of(app, options, info);
  refuse_without_effect(app, options);
  refuse_to_replace_inputs(options);
  const CLI::Option* model = used().get_option_no_throw("--model");
  if (model != nullptr && model->count() > 1) {
    throw Error(ErrorKind::kUsage, "more than one model given; leave all but one out");
  }
  return options;
}

SessionOptions machine_options(const RunOptions& run, MathMode default_math) {
  const int cpus = available_cpus();
  SessionOptions session;
  session.batch = run.batch;
  session.threads = run.threads == 0 ? cpus : run.threads;
  if (session.threads > cpus) {
    note(fmt::format("{} asked for, {} used: this process may use {}",
                     counted(session.threads, "thread"), cpus, counted(cpus, "CPU")));
    session.threads = cpus;
  }
  session.math = run.math.empty() ? default_math : parse_math_mode(run.math);
  if (!run.isa.empty()) session.isa = parse_isa(run.isa);
  return session;
}

SessionOptions session_options(const RunOptions& run, MathMode default_math) {
  const KvSide key{parse_kv_type(run.key_type), run.key_window, run.key_sink};
  const KvSide value{parse_kv_type(run.value_type), run.value_window, run.value_sink};
  SessionOptions session = machine_options(run, default_math);
  session.kv = {key, value};
  return session;
}

void warn_beyond_training(int context, const ModelConfig& config) {
  if (context <= config.context_length) return;
  warn(fmt::format("a context of {} is beyond the {} tokens the model was trained for", context,
                   config.context_length));
}

}  // namespace quant::tool
