#include "needle_report.h"

#include <fmt/format.h>

#include "console.h"

namespace quant::tool {
namespace {

/// Calls visit for the baseline and then for every row.
template <class Visit>
void for_rows(const Json& record, const Visit& visit) {
  visit(record["baseline"]);
  for (const Json& row : record["rows"]) visit(row);
}

std::string pooled_table(const Json& record) {
  std::string out =
      "| keys/values | exact | share [95 %] | lost | gained | p | log-probability | Δ [95 %] | p "
      "|\n|---|---|---|---|---|---|---|---|---|\n";
  for_rows(record, [&](const Json& row) {
    out += fmt::format(
        "| {} | {} of {} | {:.1f} % [{:.1f}, {:.1f}] |", row["configuration"].get<std::string>(),
        row["exact_matches"].get<std::int64_t>(), row["trials"].get<std::int64_t>(),
        100.0 * row["exact_match_rate"].get<double>(), 100.0 * row["exact_match_low"].get<double>(),
        100.0 * row["exact_match_high"].get<double>());
    const std::string log_probability = number_text(row["log_probability"], "{:.3f}");
    if (!row.contains("lost")) {
      out += fmt::format(" - | - | - | {} | baseline | - |\n", log_probability);
      return;
    }
    out += fmt::format(" {} | {} | {} | {} | {} [{}, {}] | {} |\n", row["lost"].get<std::int64_t>(),
                       row["gained"].get<std::int64_t>(), number_text(row["mcnemar_p"], "{:.4f}"),
                       log_probability, number_text(row["delta_log_probability"], "{:+.3f}"),
                       number_text(row["delta_log_probability_low"], "{:+.3f}"),
                       number_text(row["delta_log_probability_high"], "{:+.3f}"),
                       number_text(row["p_value"], "{:.4f}"));
  });
  return out;
}

/// Cells are ordered by length, then by depth.
std::string cell_table(const Json& record, const Json& row) {
  const std::size_t n_depths = record["depths"].size();
  const std::size_t n_lengths = record["lengths"].size();
  std::string out = fmt::format("{}\n\n| depth |", row["configuration"].get<std::string>());
  std::string line = "|---|";
  for (const Json& length : record["lengths"]) {
    out += fmt::format(" {} tokens |", length.get<int>());
    line += "---|";
  }
  out += "\n" + line + "\n";
  for (std::size_t d = 0; d < n_depths; ++d) {
    out += fmt::format("| {:g} % |", record["depths"][d].get<double>());
    for (std::size_t l = 0; l < n_lengths; ++l) {
      const Json& cell = row["cells"][l * n_depths + d];
      out += fmt::format(" {} of {} ({}) |", cell["exact_matches"].get<std::int64_t>(),
                         cell["trials"].get<std::int64_t>(),
                         number_text(cell["log_probability"], "{:.2f}"));
    }
    out += "\n";
  }
  return out;
}

}  // namespace

std::string needle_report(const Json& record) {
  std::string out =
      fmt::format("{}, needles in {} ({} form), {} a cell, seed {}, {} math\n\n",
                  record["model_path"].get<std::string>(), record["text_path"].get<std::string>(),
                  record["form"].get<std::string>(), counted(record["trials"].get<int>(), "trial"),
                  record["seed"].get<std::uint64_t>(), record["math"].get<std::string>());
  out += pooled_table(record);
  out += "\nBy depth and length, exact matches and mean log-probability of the answer:\n";
  for_rows(record, [&](const Json& row) { out += "\n" + cell_table(record, row); });
  return out + fmt::format(
                   "\n{} tokens/s through {} configurations at once ({} s, {}, {}), peak "
                   "memory {:.1f} MiB\n",
                   number_text(record["tokens_per_second"], "{:.1f}"), record["rows"].size() + 1,
                   number_text(record["seconds"], "{:.1f}"), record["isa"].get<std::string>(),
                   counted(record["threads"].get<int>(), "thread"),
                   record["peak_rss_bytes"].get<double>() / 1024.0 / 1024.0);
}

std::string needle_csv(const Json& record) {
  std::string out = "configuration,length,depth,trials,exact_matches,log_probability\n";
  for_rows(record, [&](const Json& row) {
    for (const Json& cell : row["cells"]) {
      out +=
          fmt::format("{},{},{:g},{},{},{}\n", row["configuration"].get<std::string>(),
                      cell["length"].get<int>(), cell["depth"].get<double>(),
                      cell["trials"].get<std::int64_t>(), cell["exact_matches"].get<std::int64_t>(),
                      number_text(cell["log_probability"], "{}"));
    }
  });
  return out;
}

}  // namespace quant::tool
