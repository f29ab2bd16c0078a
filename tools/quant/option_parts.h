// Groups of options that several commands share, and the options of the larger commands.
#pragma once

#include "options.h"

namespace quant::tool {

/// Accepts whole numbers from `least` on.
CLI::Validator at_least(int least);
/// Whole numbers of 64 bits.
CLI::Validator seed_number();
/// A file name: an unset variable of a script is none.
CLI::Validator not_empty();
/// Finite numbers, not only whole ones: above 0, or from 0 on.
CLI::Validator above_zero();
CLI::Validator from_zero();
/// Above 0 and up to 100.
CLI::Validator percent_above_zero();
/// The options that are added next stand under this heading of the help text.
void begin_group(CLI::App& app, const char* heading);
/// --threads and --isa.
void add_machine_options(CLI::App& app, int& threads, std::string& isa);
/// An option that names a file.
CLI::Option* add_file_option(CLI::App& app, const std::string& name, std::string& path,
                             const std::string& description);
/// --output.
void add_output_option(CLI::App& app, RunOptions& run);
/// Model, KV format, context, threads, output.
void add_run_options(CLI::App& app, RunOptions& run);
/// --protocol and what belongs to it, without the text.
void add_protocol_options(CLI::App& app, PplOptions& ppl);
/// What more goes into the record of a perplexity.
void add_record_options(CLI::App& app, PplOptions& ppl);

void add_compare(CLI::App& app, RunOptions& run, PplOptions& ppl, CompareArguments& compare);
void add_check(CLI::App& app, RunOptions& run, CheckArguments& check);
void add_sweep(CLI::App& app, SweepArguments& sweep);
void add_report(CLI::App& app, RunOptions& run, ReportArguments& report);
void add_plan(CLI::App& app, RunOptions& run, PlanArguments& plan);
void add_score(CLI::App& app, RunOptions& run, ScoreArguments& score);
void add_diverge(CLI::App& app, RunOptions& run, DivergeArguments& diverge);
void add_attention(CLI::App& app, RunOptions& run, PplOptions& ppl, AttentionArguments& attention);
void add_needle(CLI::App& app, RunOptions& run, NeedleArguments& needle);

}  // namespace quant::tool
