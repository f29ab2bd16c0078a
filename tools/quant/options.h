// What the user asked for.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quant/bench.h"
#include "quant/needle.h"
#include "quant/perplexity.h"
#include "quant/sampler.h"
#include "quant/session.h"

namespace quant::tool {

/// Options of everything that runs a model.
struct RunOptions {
  std::string model;
  std::string key_type = "fp16";
  std::string value_type = "fp16";
  int key_window = 0;
  int value_window = 0;
  int key_sink = 0;
  int value_sink = 0;
  int context = 0;
  int threads = 0;  ///< 0 = all CPUs of this process
  int batch = 512;
  std::string math;  ///< "" = the command's default
  std::string isa;   ///< "" = the best of this machine
  bool json = false;
  std::string output;
};

struct PplOptions {
  bool requested = false;
  std::string text;      ///< path, "-" for standard input, "" = not said
  std::string protocol;  ///< "" = not said
  int stride = 0;
  int chunks = 0;
  std::int64_t offset = 0;
  bool allow_longer = false;
  bool losses = false;          ///< each token's loss goes into the record
  bool attention_mass = false;  ///< so does the attention on exact rows
  std::string save_logits;      ///< path, "" = do not
  std::string kl_base;          ///< path, "" = none
};

struct GenerateOptions {
  std::optional<std::string> prompt;
  std::string prompt_file;
  int n_predict = 128;
  bool chat = false;
  SamplerOptions sampler;
};

struct TokenizeOptions {
  std::string model;
  std::string text;
  bool ids_only = false;
  bool no_bos = false;
  bool parse_special = false;
  bool json = false;
};

struct BenchArguments {
  BenchOptions measure;
  std::vector<int> depths;  ///< empty = the default's that the context holds
  bool csv = false;
};

struct CompareArguments {
  std::vector<std::string> texts;
  double margin_percent = 0.5;
  std::string positions;  ///< CSV file, "" = none
};

struct AttentionArguments {
  std::vector<std::string> texts;
  std::optional<std::int64_t> from;  ///< the first query that counts
  int first = 4;
  std::vector<double> hold = {50, 70, 90, 99};  ///< percent
  bool heads = false;
  bool csv = false;
};

struct CheckArguments {
  std::string baseline;
  std::vector<std::string> texts;  ///< empty = the baseline's
  std::string tolerance = "relative";
  double percent = 0.1;
  bool update = false;
  std::string junit;
  std::string summary;
};

struct PlanArguments {
  std::string shape;
  std::optional<std::size_t> ram;
  std::optional<std::size_t> weights;
  std::string quality;
  bool configurations_given = false;
};

struct SweepArguments {
  std::string grid;
  std::string directory;
  bool list = false;
  std::string cell;  ///< key of the only one to run, or how it begins
  int threads = 0;
  std::string isa;
  bool json = false;
};

enum class ReportForm { kMarkdown, kCsv, kLatex, kJson, kHtml, kSvg };

struct ReportArguments {
  std::string directory;
  ReportForm form = ReportForm::kMarkdown;
  double margin = 0.5;
};

struct ScoreArguments {
  std::string jobs = "-";  ///< path, "-" for standard input
  bool choices = false;
  std::string delimiter = " ";  ///< between a context and its endings
  bool truncate = false;
  bool parse_special = false;
};

struct DivergeArguments {
  std::string prompts;  ///< path, "-" for standard input
  int n_predict = 128;
  bool chat = false;  ///< prompts are messages in the model's chat template
};

struct NeedleArguments {
  std::string text;  ///< path, "-" for standard input
  NeedleOptions measure;
  bool chat = false;
  bool csv = false;
  std::string svg;  ///< path, "" = none
};

enum class Command {
  kHelp,
  kPerplexity,
  kGenerate,
  kInfo,
  kTypes,
  kTokenize,
  kBench,
  kCompare,
  kCheck,
  kPlan,
  kSweep,
  kReport,
  kScore,
  kDiverge,
  kAttention,
  kNeedle
};

struct Options {
  Command command = Command::kHelp;
  RunOptions run;
  PplOptions ppl;
  GenerateOptions generate;
  TokenizeOptions tokenize;
  BenchArguments bench;
  CompareArguments compare;
  CheckArguments check;
  PlanArguments plan;
  SweepArguments sweep;
  ReportArguments report;
  ScoreArguments score;
  DivergeArguments diverge;
  AttentionArguments attention;
  NeedleArguments needle;
  bool types_json = false;
};

/// Parses the command line. Prints help or version itself and gives kHelp. Throws Error(kUsage).
Options parse_options(int argc, const char* const* argv);

/// Threads, batch, math and ISA of a run, checked; says on stderr what was capped.
SessionOptions machine_options(const RunOptions& run, MathMode default_math);
/// The same with the run's one KV format.
SessionOptions session_options(const RunOptions& run, MathMode default_math);

/// Warns of a context that is longer than what the model was trained for.
void warn_beyond_training(int context, const ModelConfig& config);

}  // namespace quant::tool
