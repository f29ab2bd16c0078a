// Results of a check as a table, for JUnit readers and for GitHub's step summary.
#include <fmt/format.h>

#include <algorithm>

#include "check.h"
#include "xml.h"

namespace quant::tool {

std::string check_table(const std::vector<CheckedRow>& rows) {
  std::string out;
  for (const CheckedRow& row : rows) {
    out += fmt::format("{:<4} {}: {}\n", row.passed ? "ok" : "FAIL", row.name, row.message);
  }
  return out;
}

std::string junit_xml(const std::string& baseline, const std::vector<CheckedRow>& rows) {
  const auto failures = std::ranges::count(rows, false, &CheckedRow::passed);
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuite name=\"quant check\" tests=\"{}\" failures=\"{}\">\n",
      rows.size(), failures);
  for (const CheckedRow& row : rows) {
    out += fmt::format("  <testcase classname=\"{}\" name=\"{}\">\n", escape_xml(baseline),
                       escape_xml(row.name));
    const char* const element = row.passed ? "system-out" : "failure";
    out += row.passed
               ? fmt::format("    <{0}>{1}</{0}>\n", element, escape_xml(row.message))
               : fmt::format("    <{0} message=\"{1}\"/>\n", element, escape_xml(row.message));
    out += "  </testcase>\n";
  }
  return out + "</testsuite>\n";
}

std::string github_summary(const std::string& baseline, const std::vector<CheckedRow>& rows) {
  std::string out =
      fmt::format("### quant check {}\n\n| | keys/values | found |\n|---|---|---|\n", baseline);
  for (const CheckedRow& row : rows) {
    out += fmt::format("| {} | {} | {} |\n", row.passed ? "✅" : "❌", row.name, row.message);
  }
  return out + "\n";
}

}  // namespace quant::tool
