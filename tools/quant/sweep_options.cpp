// The options of sweep and report.
#include <iterator>
#include <utility>
#include <vector>

#include "option_parts.h"

namespace quant::tool {

void add_sweep(CLI::App& app, SweepArguments& sweep) {
  CLI::App* sub = app.add_subcommand("sweep", "Measure every cell of a grid; resumes where it was");
  sub->option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  sub->add_option("grid", sweep.grid, "What to measure (TOML, see docs/sweeps.md)")
      ->required()
      ->type_name("GRID.toml");
  add_file_option(*sub, "-o,--output", sweep.directory, "Folder of the cells")
      ->required()
      ->type_name("DIR");
  CLI::Option* list = sub->add_flag("--list", sweep.list, "List the cells, measure nothing");
  sub->add_option("--cell", sweep.cell, "Measure this cell alone")
      ->excludes(list)
      ->type_name("KEY");
  add_machine_options(*sub, sweep.threads, sweep.isa);
  sub->add_flag("--json", sweep.json, "Print as JSON");
}

void add_report(CLI::App& app, RunOptions& run, ReportArguments& report) {
  CLI::App* sub = app.add_subcommand("report", "Tables and pictures of a sweep");
  sub->add_option("directory", report.directory, "Folder of the sweep")
      ->required()
      ->type_name("DIR");
  const std::pair<const char*, ReportForm> forms[] = {
      {"--md", ReportForm::kMarkdown}, {"--csv", ReportForm::kCsv},
      {"--latex", ReportForm::kLatex}, {"--json", ReportForm::kJson},
      {"--html", ReportForm::kHtml},   {"--svg", ReportForm::kSvg}};
  const char* const meanings[] = {
      "Markdown tables (the default)",   "One table for spreadsheets", "LaTeX tables", "JSON",
      "A page with tables and pictures", "The pictures alone"};
  std::vector<CLI::Option*> flags;
  for (std::size_t i = 0; i < std::size(forms); ++i) {
    const ReportForm form = forms[i].second;
    CLI::Option* flag = sub->add_flag_callback(
        forms[i].first, [&report, form] { report.form = form; }, meanings[i]);
    for (CLI::Option* other : flags) flag->excludes(other);
    flags.push_back(flag);
  }
  sub->add_option("--margin", report.margin, "Differences up to M % count as equivalent")
      ->check(above_zero())
      ->type_name("M");
  add_output_option(*sub, run);
}

}  // namespace quant::tool
