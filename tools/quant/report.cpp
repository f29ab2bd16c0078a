#include <fmt/format.h>

#include "commands.h"
#include "console.h"
#include "record.h"
#include "report_data.h"
#include "report_page.h"
#include "report_picture.h"
#include "report_table.h"
#include "sweep_store.h"

namespace quant::tool {
namespace {

std::string in_form(const Json& data, ReportForm form) {
  switch (form) {
    case ReportForm::kCsv:
      return csv_report(data);
    case ReportForm::kLatex:
      return latex_report(data);
    case ReportForm::kJson:
      return to_text(data);
    case ReportForm::kHtml:
      return report_page(data);
    case ReportForm::kSvg:
      return pictures_of(data);
    default:
      return markdown_report(data);
  }
}

}  // namespace

void run_report(const RunOptions& run, const ReportArguments& report) {
  const Json data = report_data(SweepStore(report.directory), report.margin);
  if (data["missing"] > 0) {
    warn(fmt::format("{} of {} cells are not measured yet and not in the report",
                     data["missing"].get<int>(), data["cells"].get<int>()));
  }
  emit(run, in_form(data, report.form));
}

}  // namespace quant::tool
