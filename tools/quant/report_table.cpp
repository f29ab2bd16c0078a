#include "report_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>
#include <string_view>

#include "console.h"
#include "quant/paired.h"

namespace quant::tool {
namespace {

using Row = std::vector<std::string>;

constexpr std::string_view kNothing = "-";

/// A number in a format, or "-" for null and for what the row does not have.
std::string number(const Json& row, const char* name, const char* format, double factor = 1.0) {
  const auto at = row.find(name);
  if (at == row.end() || at->is_null()) return std::string(kNothing);
  return fmt::format(fmt::runtime(format), at->get<double>() * factor);
}

std::string positions(const Json& row, const char* name) {
  return row[name] == 0 ? std::string(kNothing) : row[name].dump();
}

/// Digits in groups of three.
std::string grouped(const Json& row, const char* name) {
  std::string digits = row[name].dump();
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

std::string between(const Json& row, const char* low_name, const char* high_name,
                    const char* format) {
  const std::string low = number(row, low_name, format);
  const std::string high = number(row, high_name, format);
  return low == kNothing || high == kNothing ? std::string(kNothing) : low + " to " + high;
}

std::string interval(const Json& row) {
  return between(row, "delta_percent_low", "delta_percent_high", "{:+.2f}");
}

std::string share(const Json& row, const std::string& name) {
  return number(row, (name + "_mean").c_str(), "{:.1f}", 100.0) +
         number(row, (name + "_end").c_str(), " ({:.1f})", 100.0);
}

struct Column {
  const char* name;
  std::function<std::string(const Json& row)> text;
  bool optional = false;  ///< left out where no row has anything in it
};

const std::vector<Column>& columns() {
  static const std::vector<Column> all = {
      {"keys", [](const Json& r) { return r["key_type"].get<std::string>(); }},
      {"k-window", [](const Json& r) { return positions(r, "key_window"); }, true},
      {"values", [](const Json& r) { return r["value_type"].get<std::string>(); }},
      {"v-window", [](const Json& r) { return positions(r, "value_window"); }, true},
      {"sink", [](const Json& r) { return positions(r, "sink"); }, true},
      {"seeds", [](const Json& r) { return r["seeds"] == 1 ? "-" : r["seeds"].dump(); }, true},
      {"PPL", [](const Json& r) { return number(r, "perplexity", "{:.4f}"); }},
      {"±", [](const Json& r) { return number(r, "standard_error_blocks", "{:.2f}"); }},
      {"PPL of seeds",
       [](const Json& r) { return between(r, "perplexity_min", "perplexity_max", "{:.2f}"); },
       true},
      {"Δ %", [](const Json& r) { return number(r, "delta_percent", "{:+.2f}"); }},
      {"95 % interval", interval},
      {"Δ % of seeds",
       [](const Json& r) {
         return between(r, "delta_percent_min", "delta_percent_max", "{:+.2f}");
       },
       true},
      {"verdict", [](const Json& r) { return r.value("verdict", std::string(kNothing)); }},
      {"bits K", [](const Json& r) { return number(r, "key_bits", "{:.4g}"); }},
      {"bits V", [](const Json& r) { return number(r, "value_bits", "{:.4g}"); }},
      {"bits, all", [](const Json& r) { return number(r, "kv_bits", "{:.2f}"); }, true},
      {"cache bytes", [](const Json& r) { return grouped(r, "kv_bytes"); }},
      {"vs FP32", [](const Json& r) { return number(r, "ratio_fp32", "{:.2f} x"); }, true},
      {"vs FP16", [](const Json& r) { return number(r, "ratio_fp16", "{:.2f} x"); }, true},
      {"FP32 keys %", [](const Json& r) { return share(r, "fp32_share"); }},
      {"FP32 values %", [](const Json& r) { return share(r, "value_fp32_share"); }},
      {"mass K %", [](const Json& r) { return number(r, "exact_key_mass", "{:.1f}", 100.0); },
       true},
      {"mass V %", [](const Json& r) { return number(r, "exact_value_mass", "{:.1f}", 100.0); },
       true},
      {"front", [](const Json& r) { return r["pareto"].get<bool>() ? "●" : ""; }},
  };
  return all;
}

std::string joined(const Row& cells, const char* between) {
  return fmt::format("{}", fmt::join(cells, between));
}

/// Of the rows that were compared, all on the same tokens.
std::int64_t blocks_of(const Json& group) {
  for (const Json& row : group["rows"]) {
    if (row.contains("blocks")) return row["blocks"];
  }
  return kFewBlocks;
}

/// Characters of a text in UTF-8.
std::size_t length_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

/// Lines of a Markdown table whose columns stand below each other in a terminal as well.
std::string markdown_table(const std::vector<Row>& table) {
  std::vector<std::size_t> widths(table[0].size(), 3);
  for (const Row& row : table) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], length_of(row[c]));
  }
  std::string out;
  for (std::size_t i = 0; i < table.size(); ++i) {
    for (std::size_t c = 0; c < widths.size(); ++c) {
      const std::string& cell = table[i][c];
      out += fmt::format("| {}{} ", cell, std::string(widths[c] - length_of(cell), ' '));
    }
    out += "|\n";
    if (i > 0) continue;
    for (const std::size_t width : widths) out += fmt::format("|{}", std::string(width + 2, '-'));
    out += "|\n";
  }
  return out;
}

std::string escape_latex(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("_%&#").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  for (const auto& [symbol, command] :
       {std::pair("±", "$\\pm$"), std::pair("Δ", "$\\Delta$"), std::pair("●", "$\\bullet$")}) {
    for (std::size_t at = out.find(symbol); at != std::string::npos; at = out.find(symbol)) {
      out.replace(at, std::string_view(symbol).size(), command);
    }
  }
  return out;
}

std::string csv_field(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  std::string text = value.get<std::string>();
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2)) {
    text.insert(at, 1, '"');
  }
  return '"' + text + '"';
}

constexpr std::string_view kLegend =
    "±: standard error of the PPL over blocks of 64 tokens. Δ and its 95 % interval: the paired "
    "difference on the same tokens. Bits: per value of packed rows; \"all\": of everything "
    "allocated, windows included. FP32 shares: of the positions a query sees, mean over the "
    "scored tokens, in brackets at the end; mass: of the attention, where it was measured. ●: no "
    "other row is smaller and better.";

/// "4083 of 4087 tokens scored in 4 contexts (protocol context, from token 0)".
std::string scored_of(const Json& group) {
  const std::string contexts = counted(group["contexts"].get<std::int64_t>(), "context");
  const std::string protocol = group["protocol"];
  const auto scored = group["scored_tokens"].get<std::int64_t>();
  const auto all = group["text_tokens"].get<std::int64_t>();
  const Json& from = group["text_offset"];
  if (!from.is_array()) {
    return fmt::format("{} of {} tokens scored in {} (protocol {}, from token {})", scored, all,
                       contexts, protocol, from.get<std::int64_t>());
  }
  return fmt::format("{} tokens scored in {} of a text of {} (protocol {}, from tokens {})", scored,
                     contexts, all, protocol,
                     fmt::join(from.get<std::vector<std::int64_t>>(), ", "));
}

}  // namespace

std::string legend() { return std::string(kLegend); }

std::vector<Row> table_of(const Json& group) {
  std::vector<Row> table(1 + group["rows"].size());
  for (const Column& column : columns()) {
    Row texts;
    for (const Json& row : group["rows"]) texts.push_back(column.text(row));
    const bool empty = std::ranges::all_of(texts, [](const auto& t) { return t == kNothing; });
    if (column.optional && empty) continue;
    table[0].emplace_back(column.name);
    for (std::size_t i = 0; i < texts.size(); ++i) table[i + 1].push_back(std::move(texts[i]));
  }
  return table;
}

std::string title_of(const Json& group) {
  namespace fs = std::filesystem;
  std::string title = fmt::format(
      "{} on {}, context {}", fs::path(group["model_path"].get<std::string>()).stem().string(),
      fs::path(group["text_path"].get<std::string>()).filename().string(),
      group["context"].get<int>());
  if (group["seeds"] != 1) return title + fmt::format(", {} seeds", group["seeds"].get<int>());
  if (group["seed"] != 0) title += fmt::format(", seed {}", group["seed"].get<std::uint64_t>());
  return title;
}

std::string facts_of(const Json& group, double margin_percent) {
  std::string facts = fmt::format(
      "{}; {} math; quant {}, engine {:.12}, model {:.12}, text {:.12}. Differences are to {}; "
      "equivalent means within ± {:g} %.",
      scored_of(group), group["math"].get<std::string>(), group["version"].get<std::string>(),
      group["engine_sha256"].get<std::string>(), group["model_sha256"].get<std::string>(),
      group["text_sha256"].get<std::string>(), group["baseline"].get<std::string>(),
      margin_percent);
  if (group["seeds"] != 1) {
    facts +=
        " PPL and Δ are over all tokens of all seeds. Seeds score much of the same text, so that a "
        "block is what all of them scored in 64 tokens of it.";
  }
  if (const std::int64_t blocks = blocks_of(group); blocks < kFewBlocks) {
    facts += fmt::format(" With only {} blocks of 64 tokens the intervals are rough.", blocks);
  }
  return facts;
}

std::string markdown_report(const Json& data) {
  std::string out;
  for (const Json& group : data["groups"]) {
    const std::vector<Row> table = table_of(group);
    out += fmt::format("## {}\n\n{}\n{}\n\n", title_of(group), markdown_table(table),
                       facts_of(group, data["margin_percent"]));
  }
  return out + std::string(kLegend) + "\n";
}

std::string latex_report(const Json& data) {
  std::string out;
  for (const Json& group : data["groups"]) {
    const std::vector<Row> table = table_of(group);
    out += fmt::format("\\begin{{table}}\n\\caption{{{}. {}}}\n\\begin{{tabular}}{{{}}}\n\\hline\n",
                       escape_latex(title_of(group)),
                       escape_latex(facts_of(group, data["margin_percent"])),
                       std::string(table[0].size(), 'l'));
    for (std::size_t i = 0; i < table.size(); ++i) {
      out += escape_latex(joined(Row(1, table[i][0]), ""));
      for (std::size_t c = 1; c < table[i].size(); ++c) out += " & " + escape_latex(table[i][c]);
      out += i == 0 ? " \\\\\n\\hline\n" : " \\\\\n";
    }
    out += "\\hline\n\\end{tabular}\n\\end{table}\n";
  }
  return out;
}

std::string csv_report(const Json& data) {
  std::vector<const Json*> rows;
  for (const Json& group : data["groups"]) {
    for (const Json& row : group["rows"]) rows.push_back(&row);
    if (!group.contains("by_seed")) continue;
    for (const Json& seed : group["by_seed"]) {
      for (const Json& row : seed["rows"]) rows.push_back(&row);
    }
  }
  std::vector<std::string> names;
  std::set<std::string> known;
  for (const Json* row : rows) {
    for (const auto& [name, value] : row->items()) {
      if (known.insert(name).second) names.push_back(name);
    }
  }
  std::string out = joined(names, ",") + "\n";
  for (const Json* row : rows) {
    Row cells;
    for (const std::string& name : names) {
      cells.push_back(row->contains(name) ? csv_field((*row)[name]) : "");
    }
    out += joined(cells, ",") + "\n";
  }
  return out;
}

}  // namespace quant::tool
