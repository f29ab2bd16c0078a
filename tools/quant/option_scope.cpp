#include "option_scope.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "quant/error.h"

namespace quant::tool {
namespace {

struct Scope {
  std::string_view heading;
  std::initializer_list<Command> commands;
};

const Scope kScopes[] = {
    {kTaskOptions, {Command::kPerplexity, Command::kGenerate, Command::kInfo}},
    {kCacheOptions,
     {Command::kPerplexity, Command::kGenerate, Command::kBench, Command::kCompare, Command::kPlan,
      Command::kScore, Command::kDiverge, Command::kAttention, Command::kNeedle}},
    {kComputingOptions,
     {Command::kPerplexity, Command::kGenerate, Command::kBench, Command::kCompare, Command::kPlan,
      Command::kScore, Command::kDiverge, Command::kAttention, Command::kNeedle}},
    {kPplOptions, {Command::kPerplexity, Command::kCompare}},
    {kLogitsOptions, {Command::kPerplexity}},
    {kGenerateOptions, {Command::kGenerate}},
    {kResultOptions,
     {Command::kPerplexity, Command::kGenerate, Command::kInfo, Command::kBench, Command::kCompare,
      Command::kCheck, Command::kPlan, Command::kScore, Command::kDiverge, Command::kAttention,
      Command::kNeedle}},
};

constexpr std::string_view kWelcomeEverywhere[] = {"--threads", "--batch-size", "--seed"};

bool has_effect(const CLI::Option& option, Command command) {
  const auto named = [&](std::string_view name) { return option.check_name(std::string(name)); };
  if (std::ranges::any_of(kWelcomeEverywhere, named)) return true;
  const auto* scope = std::ranges::find(kScopes, option.get_group(), &Scope::heading);
  return scope == std::end(kScopes) ||
         std::ranges::find(scope->commands, command) != scope->commands.end();
}

std::string_view name_of(Command command) {
  switch (command) {
    case Command::kPerplexity:
      return "--ppl";
    case Command::kGenerate:
      return "a prompt";
    case Command::kInfo:
      return "--info";
    case Command::kTypes:
      return "types";
    case Command::kTokenize:
      return "tokenize";
    case Command::kBench:
      return "bench";
    case Command::kCompare:
      return "compare";
    case Command::kCheck:
      return "check";
    case Command::kPlan:
      return "plan";
    case Command::kSweep:
      return "sweep";
    case Command::kReport:
      return "report";
    case Command::kScore:
      return "score";
    case Command::kDiverge:
      return "diverge";
    case Command::kAttention:
      return "attention";
    case Command::kNeedle:
      return "needle";
    default:
      return "--help";
  }
}

void refuse_outside_of_strided(const CLI::App& app, const Options& options) {
  const std::string protocol = options.ppl.protocol.empty() ? "context" : options.ppl.protocol;
  if (app.count("--stride") == 0 || parse_protocol(protocol) == Protocol::kStrided) return;
  throw Error(
      ErrorKind::kUsage,
      fmt::format("--stride has no effect with --protocol {}; add --protocol strided", protocol));
}

/// The default is greedy. Who says so, with -T 0, may leave the other options where they are.
void refuse_without_temperature(const CLI::App& app) {
  if (app.count("--temp") > 0) return;
  for (const char* name : {"--top-k", "--top-p", "--min-p"}) {
    if (app.count(name) == 0) continue;
    throw Error(ErrorKind::kUsage,
                fmt::format("{} has no effect without a temperature; add -T 0.8, or -T 0 if the "
                            "most likely token is wanted",
                            name));
  }
}

}  // namespace

void refuse_without_effect(const CLI::App& app, const Options& options) {
  constexpr Command kSubcommands[] = {Command::kTypes,   Command::kTokenize, Command::kBench,
                                      Command::kCompare, Command::kCheck,    Command::kPlan,
                                      Command::kScore,   Command::kDiverge,  Command::kAttention,
                                      Command::kNeedle};
  const Command command = options.command;
  const bool behind = std::ranges::find(kSubcommands, command) != std::end(kSubcommands);
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || has_effect(*option, command)) continue;
    throw Error(ErrorKind::kUsage,
                fmt::format("{} has no effect {} {}; {}leave it out", option->get_name(false, true),
                            behind ? "in front of" : "with", name_of(command),
                            behind ? "put it behind or " : ""));
  }
  refuse_outside_of_strided(app, options);
  if (command == Command::kGenerate) refuse_without_temperature(app);
  if (options.ppl.losses && !options.run.json) {
    throw Error(ErrorKind::kUsage, "--losses has no effect without a record; add --json");
  }
}

void refuse_to_replace_inputs(const Options& options) {
  std::vector<std::string> inputs = {options.run.model,      options.ppl.text,
                                     options.ppl.kl_base,    options.generate.prompt_file,
                                     options.check.baseline, options.plan.quality,
                                     options.score.jobs,     options.diverge.prompts,
                                     options.needle.text,    options.tokenize.model,
                                     options.tokenize.text};
  for (const auto* texts :
       {&options.compare.texts, &options.attention.texts, &options.check.texts}) {
    inputs.insert(inputs.end(), texts->begin(), texts->end());
  }
  const std::pair<const char*, const std::string&> outputs[] = {
      {"-o", options.run.output},
      {"--save-logits", options.ppl.save_logits},
      {"--positions", options.compare.positions},
      {"--svg", options.needle.svg},
      {"--junit", options.check.junit},
      {"--summary", options.check.summary}};
  for (const auto& [option, output] : outputs) {
    std::error_code no_such_file;
    if (!std::filesystem::is_regular_file(output, no_such_file)) continue;
    for (const std::string& input : inputs) {
      if (!std::filesystem::equivalent(input, output, no_such_file)) continue;
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} {} would replace a file that is read; choose another name",
                              option, output));
    }
  }
}

}  // namespace quant::tool
