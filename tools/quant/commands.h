// One function a command. Each prints its result on stdout and throws quant::Error.
#pragma once

#include "options.h"

namespace quant::tool {

void run_perplexity(const RunOptions& run, const PplOptions& ppl, const std::string& text_file);
void run_generate(const RunOptions& run, const GenerateOptions& generate);
void run_info(const RunOptions& run);
void run_types(bool json);
void run_bench(const RunOptions& run, const BenchArguments& bench);
void run_compare(const RunOptions& run, const PplOptions& ppl, const CompareArguments& compare);
void run_check(const RunOptions& run, const CheckArguments& check);
void run_plan(const RunOptions& run, const PlanArguments& plan);
void run_sweep(const SweepArguments& arguments);
void run_report(const RunOptions& run, const ReportArguments& report);
void run_score(const RunOptions& run, const ScoreArguments& score);
void run_diverge(const RunOptions& run, const DivergeArguments& diverge);
void run_attention(const RunOptions& run, const PplOptions& ppl,
                   const AttentionArguments& attention);
void run_needle(const RunOptions& run, const NeedleArguments& needle);
void run_tokenize(const TokenizeOptions& options);

}  // namespace quant::tool
