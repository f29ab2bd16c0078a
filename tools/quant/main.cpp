#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <system_error>

#include "commands.h"
#include "console.h"
#include "files.h"
#include "quant/error.h"

namespace {

using namespace quant::tool;

void run(const Options& options) {
  if (!options.run.output.empty()) check_writable(options.run.output);
  switch (options.command) {
    case Command::kHelp:
      return;
    case Command::kPerplexity:
      return run_perplexity(options.run, options.ppl, options.generate.prompt_file);
    case Command::kGenerate:
      return run_generate(options.run, options.generate);
    case Command::kInfo:
      return run_info(options.run);
    case Command::kTypes:
      return run_types(options.types_json);
    case Command::kBench:
      return run_bench(options.run, options.bench);
    case Command::kCompare:
      return run_compare(options.run, options.ppl, options.compare);
    case Command::kCheck:
      return run_check(options.run, options.check);
    case Command::kPlan:
      return run_plan(options.run, options.plan);
    case Command::kSweep:
      return run_sweep(options.sweep);
    case Command::kReport:
      return run_report(options.run, options.report);
    case Command::kScore:
      return run_score(options.run, options.score);
    case Command::kDiverge:
      return run_diverge(options.run, options.diverge);
    case Command::kAttention:
      return run_attention(options.run, options.ppl, options.attention);
    case Command::kNeedle:
      return run_needle(options.run, options.needle);
    case Command::kTokenize:
      return run_tokenize(options.tokenize);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error, not a death by signal
  set_up_console();
  try {
    run(parse_options(argc, argv));
    print_now("");
    return 0;
  } catch (const quant::Error& error) {
    report_error(error.what());
    return error.exit_code();
  } catch (const quant::OutOfMemory& error) {
    report_error(
        fmt::format("not enough memory for another {}; choose a smaller context (-c), "
                    "batch (-b) or KV format",
                    format_bytes(static_cast<double>(error.bytes()))));
  } catch (const std::bad_alloc&) {
    report_error("not enough memory; choose a smaller context (-c), batch (-b) or KV format");
  } catch (const std::system_error& error) {
    if (std::ferror(stdout) != 0) {  // fmt::print's, which does not say what it wrote to
      report_error(fmt::format("standard output: {}", error.code().message()));
      return static_cast<int>(quant::ErrorKind::kIo);
    }
    report_error(error.what());
  } catch (const std::exception& error) {
    report_error(error.what());
  }
  return static_cast<int>(quant::ErrorKind::kEvaluation);
}
