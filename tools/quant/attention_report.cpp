#include "attention_report.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>
#include <vector>

namespace quant::tool {
namespace {

using Cells = std::vector<std::pair<std::string, std::string>>;  // name, text

std::string percent(const Json& value) {
  return fmt::format("{:.1f}", 100.0 * value.get<double>());
}

/// The columns of the table, as one row has them.
Cells cells_of(const Json& row, int first_tokens) {
  Cells cells;
  for (const int n : {1, 4}) {
    cells.emplace_back(fmt::format("first {}", n), percent(row[fmt::format("first_{}", n)]));
  }
  if (first_tokens != 1 && first_tokens != 4) {
    cells.emplace_back(fmt::format("first {}", first_tokens), percent(row["first"]));
  }
  cells.emplace_back(fmt::format("last {}", kLast), percent(row["last_500"]));
  cells.emplace_back(fmt::format("next {}", kNext), percent(row["next_2000"]));
  for (const Json& window : row["windows"]) {
    cells.emplace_back(fmt::format("{:g} %", window["hold"].get<double>()),
                       fmt::format("{} ({})", window["window"].get<std::int64_t>(),
                                   window["window_with_first"].get<std::int64_t>()));
  }
  const Json& fit = row["fit"];
  const bool fitted = !fit["exponent"].is_null();
  for (const auto& [name, label] :
       {std::pair("exponent", "exponent"), {"rms_log", "RMS"}, {"r_squared", "R²"}}) {
    cells.emplace_back(label, fitted ? fmt::format("{:.2f}", fit[name].get<double>()) : "-");
  }
  return cells;
}

std::string line_of(const std::string& name, const Cells& cells) {
  std::string line = fmt::format("| {} |", name);
  for (const auto& [column, text] : cells) line += fmt::format(" {} |", text);
  return line + "\n";
}

std::string header_of(const Cells& cells) {
  std::string names = "| layer |";
  std::string rule = "|---|";
  for (const auto& [column, text] : cells) {
    names += fmt::format(" {} |", column);
    rule += "---|";
  }
  return names + "\n" + rule + "\n";
}

std::string table_of(const Json& record, bool heads) {
  const int first_tokens = record["first_tokens"];
  const auto line = [&](const std::string& name, const Json& row) {
    return line_of(name, cells_of(row, first_tokens));
  };
  std::string out = header_of(cells_of(record["model"], first_tokens));
  for (const Json& layer : record["layers"]) {
    const int sliding_window = layer["sliding_window"];
    const std::string number = layer["layer"].dump();
    out += line(sliding_window > 0 ? fmt::format("{}, sliding {}", number, sliding_window) : number,
                layer);
    if (!heads) continue;
    for (const Json& head : layer["heads"]) {
      out += line(fmt::format("{}, head {}", number, head["head"].get<int>()), head);
    }
  }
  if (record.contains("global_layers")) {
    out += line("all without a sliding window", record["global_layers"]);
  }
  return out + line("all", record["model"]);
}

std::string shares_of(const Json& row, int first_tokens) {
  return fmt::format("{} % and {} %, or {} % and {} % of what is not on the first {} tokens ({} %)",
                     percent(row["last_500"]), percent(row["next_2000"]),
                     percent(row["behind_first_last_500"]), percent(row["behind_first_next_2000"]),
                     first_tokens, percent(row["first"]));
}

std::string claim_line(const Json& record) {
  const std::string claim =
      fmt::format("\"{:.0f} % of the attention in the last {} tokens, {:.0f} % in the next {}\"",
                  100.0 * kLastClaimed, kLast, 100.0 * kNextClaimed, kNext);
  const std::string verdict = record["claim"];
  if (verdict == "not seen") {
    return fmt::format(
        "{} cannot be judged: a query that counts may see no more than {} positions; "
        "choose --from {}, and a text and -c beyond that\n",
        claim, record["from"].get<std::int64_t>() + 1, kLast + kNext);
  }
  const int first_tokens = record["first_tokens"];
  std::string line =
      fmt::format("{} {} here: {}", claim, verdict, shares_of(record["model"], first_tokens));
  if (record.contains("global_layers")) {
    line += fmt::format("; in the layers without a sliding window {}",
                        shares_of(record["global_layers"], first_tokens));
  }
  return line + "\n";
}

void add_csv_values(const Json& row, std::vector<std::pair<std::string, Json>>& values) {
  for (const char* name : {"first_1", "first_4", "first", "last_500", "next_2000",
                           "behind_first_last_500", "behind_first_next_2000"}) {
    values.emplace_back(name, row[name]);
  }
  for (const Json& window : row["windows"]) {
    const std::string hold = fmt::format("window_{:g}", window["hold"].get<double>());
    values.emplace_back(hold, window["window"]);
    values.emplace_back(hold + "_with_first", window["window_with_first"]);
  }
  for (const char* name : {"exponent", "scale", "rms_log", "r_squared"}) {
    values.emplace_back(name, row["fit"].value(name, Json()));
  }
}

}  // namespace

std::string attention_report(const Json& record, bool heads) {
  namespace fs = std::filesystem;
  std::string texts;
  for (const Json& text : record["texts"]) {
    texts += (texts.empty() ? "" : ", ") +
             fs::path(text["text_path"].get<std::string>()).filename().string();
  }
  const int first_tokens = record["first_tokens"];
  return fmt::format(
             "{} on {}, keys {}: {} queries with at least {} positions behind them, in contexts of "
             "up to {} tokens\n\n",
             fs::path(record["model_path"].get<std::string>()).filename().string(), texts,
             record["key_type"].get<std::string>(), record["counted_queries"].get<std::int64_t>(),
             record["from"].get<std::int64_t>(), record["context"].get<int>()) +
         table_of(record, heads) +
         fmt::format(
             "\nfirst, last, next: percent of the attention on a context's first tokens, on the "
             "last "
             "{} keys\nof a query, on the {} before them. Percents: the smallest window that holds "
             "so "
             "much (in brackets\nbeside the first {} tokens). Exponent: of the mass a key at a "
             "distance, without the first {} tokens;\nRMS of its residual in ln, and R².\n\n",
             kLast, kNext, first_tokens, first_tokens) +
         claim_line(record);
}

std::string attention_csv(const Json& record) {
  std::string header;
  std::string lines;
  const auto add = [&](const Json& layer, const Json& head, const Json& row) {
    std::vector<std::pair<std::string, Json>> values = {
        {"layer", layer.is_null() ? Json() : layer["layer"]},
        {"head", head},
        {"sliding_window", layer.is_null() ? Json() : layer["sliding_window"]}};
    add_csv_values(row, values);
    for (std::size_t b = 0; b < row["shares"].size(); ++b) {
      values.emplace_back(fmt::format("share_{}_{}", record["distances"][b]["begin"].dump(),
                                      record["distances"][b]["end"].dump()),
                          row["shares"][b]);
    }
    header.clear();
    for (const auto& [name, value] : values) {
      header += (header.empty() ? "" : ",") + name;
      lines += (&value == &values.front().second ? "" : ",") +
               (value.is_null() ? std::string() : value.dump());
    }
    lines += "\n";
  };
  add(nullptr, nullptr, record["model"]);
  for (const Json& layer : record["layers"]) {
    add(layer, nullptr, layer);
    for (const Json& head : layer["heads"]) add(layer, head["head"], head);
  }
  return header + "\n" + lines;
}

}  // namespace quant::tool
