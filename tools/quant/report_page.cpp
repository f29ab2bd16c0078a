#include "report_page.h"

#include <fmt/format.h>

#include "report_picture.h"
#include "report_table.h"
#include "xml.h"

namespace quant::tool {
namespace {

constexpr const char* kStyle =
    "body{font-family:sans-serif;font-size:14px;color:#222;background:#fff;margin:2em auto;"
    "max-width:1560px;padding:0 1em}"
    "h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}"
    ".wide{overflow-x:auto}"
    "svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "th{text-align:left;border-bottom:2px solid #999;padding:4px 9px}"
    "td{border-bottom:1px solid #e4e4e4;padding:4px 9px}"
    "tr:hover td{background:#f4f6fa}"
    "p{max-width:60em;color:#555}";

std::string html_row(const std::vector<std::string>& cells, const char* tag) {
  std::string out = "<tr>";
  for (const std::string& cell : cells) out += fmt::format("<{0}>{1}</{0}>", tag, escape_xml(cell));
  return out + "</tr>\n";
}

std::string html_table(const Json& group) {
  const std::vector<std::vector<std::string>> table = table_of(group);
  std::string out =
      "<div class=\"wide\"><table>\n<thead>" + html_row(table[0], "th") + "</thead>\n<tbody>\n";
  for (std::size_t i = 1; i < table.size(); ++i) out += html_row(table[i], "td");
  return out + "</tbody></table></div>\n";
}

}  // namespace

std::string report_page(const Json& data) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\">"
      "<title>What compressed KV caches cost</title>\n<style>{}</style></head>\n<body>\n"
      "<h1>What compressed KV caches cost</h1>\n",
      kStyle);
  for (const Json& group : data["groups"]) {
    out += fmt::format("<h2>{}</h2>\n<div class=\"wide\">\n{}</div>\n{}<p>{}</p>\n",
                       escape_xml(title_of(group)), pareto_picture(group, false), html_table(group),
                       escape_xml(facts_of(group, data["margin_percent"])));
  }
  return out + fmt::format("<p>{}</p>\n</body></html>\n", escape_xml(legend()));
}

}  // namespace quant::tool
