#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "cells.h"
#include "commands.h"
#include "console.h"
#include "grid.h"
#include "measure.h"
#include "quant/error.h"
#include "sweep_store.h"

namespace quant::tool {
namespace {

namespace fs = std::filesystem;

/// Progress bars count whole numbers.
constexpr double kWorkUnit = 1e6;

std::string name_of(const Cell& cell) {
  return fmt::format("{}, {}, context {}{}: {}", fs::path(cell.run.model).filename().string(),
                     fs::path(cell.ppl.text).filename().string(), cell.run.context,
                     cell.seed == 0 ? "" : fmt::format(", seed {}", cell.seed), cell.label);
}

/// Starts the process's peak of resident memory anew, so that a record tells its own cell's and not
/// the largest so far. False where the kernel cannot (proc(5), clear_refs).
bool reset_peak_rss() {
  std::FILE* file = std::fopen("/proc/self/clear_refs", "w");
  if (file == nullptr) return false;
  const bool written = std::fputs("5", file) >= 0;
  return std::fclose(file) == 0 && written;
}

struct Counts {
  int measured = 0;
  int present = 0;
  int failed = 0;
};

/// Runs the cells that are not there yet, one after the other.
class Runner {
 public:
  Runner(const SweepStore& store, const SweepArguments& arguments)
      : store_(store), arguments_(arguments) {}

  Counts run(const std::vector<const Cell*>& cells) {
    std::vector<const Cell*> missing;
    for (const Cell* cell : cells) {
      if (!store_.has(cell->key)) missing.push_back(cell);
    }
    counts_.present = static_cast<int>(cells.size() - missing.size());
    total_ = std::accumulate(missing.begin(), missing.end(), 0.0,
                             [](double sum, const Cell* cell) { return sum + cell->work; });
    ProgressBar bar("sweep");
    for (std::size_t i = 0; i < missing.size(); ++i) {
      const std::string place = fmt::format("cell {} of {}", i + 1, missing.size());
      run_cell(*missing[i], place, bar);
      done_ += missing[i]->work;
    }
    return counts_;
  }

 private:
  /// A measurement that fails says so, and the others go on.
  void run_cell(const Cell& cell, const std::string& place, ProgressBar& bar) {
    RunOptions run = cell.run;
    run.threads = arguments_.threads;
    run.isa = arguments_.isa;
    const bool own_peak = reset_peak_rss();
    try {
      Measurement measured =
          measure_text(run, cell.ppl, cell.ppl.text, [&](std::int64_t done, std::int64_t total) {
            const double share = static_cast<double>(done) / static_cast<double>(total);
            update(bar, done_ + cell.work * share);
          });
      if (!own_peak) measured.record["peak_rss_bytes"] = nullptr;
      require_unchanged(cell, measured.record);
      store_.save(cell, measured);
      ++counts_.measured;
      update(bar, done_ + cell.work);
      bar.clear();
      const Json& perplexity = measured.record["perplexity"];
      note(fmt::format("{}, {:.1f} s, perplexity {}, {} left; {}", place, measured.result.seconds,
                       perplexity.is_null() ? "too large for a number"
                                            : fmt::format("{:.4f}", perplexity.get<double>()),
                       format_duration(bar.seconds_left()), name_of(cell)));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kEvaluation) throw;
      ++counts_.failed;
      bar.clear();
      report_error(fmt::format("{}, {}: {}", place, name_of(cell), error.what()));
    }
  }

  void update(ProgressBar& bar, double work) const {
    bar.update(static_cast<std::int64_t>(work / kWorkUnit),
               std::max<std::int64_t>(1, static_cast<std::int64_t>(total_ / kWorkUnit)));
  }

  static void require_unchanged(const Cell& cell, const Json& record) {
    for (const char* name : {"model_sha256", "text_sha256"}) {
      if (record[name] == cell.determinants[name]) continue;
      throw Error(ErrorKind::kIo, fmt::format("{}: changed while the sweep ran; run it again",
                                              name[0] == 'm' ? cell.run.model : cell.ppl.text));
    }
  }

  const SweepStore& store_;
  const SweepArguments& arguments_;
  double total_ = 0.0;
  double done_ = 0.0;
  Counts counts_;
};

void list(const std::vector<Cell>& cells, const SweepStore& store, bool json) {
  if (json) {
    Json out = list_of(cells);
    for (Json& entry : out["cells"]) entry["done"] = store.has(entry["key"]);
    fmt::print("{}", to_text(out));
    return;
  }
  for (const Cell& cell : cells) {
    fmt::print("{}  {:<7}  {}\n", cell.key, store.has(cell.key) ? "done" : "missing",
               name_of(cell));
  }
}

}  // namespace

void run_sweep(const SweepArguments& arguments) {
  const std::vector<Cell> cells = plan_cells(read_grid(arguments.grid));
  const SweepStore store(arguments.directory);
  store.prepare(cells);
  if (arguments.list) return list(cells, store, arguments.json);
  std::vector<const Cell*> wanted;
  if (arguments.cell.empty()) {
    for (const Cell& cell : cells) wanted.push_back(&cell);
  } else {
    wanted.push_back(&find_cell(cells, arguments.cell));
  }
  const Counts counts = Runner(store, arguments).run(wanted);
  if (arguments.json) {
    const Json out{{"schema_version", 1},       {"directory", arguments.directory},
                   {"cells", wanted.size()},    {"measured", counts.measured},
                   {"present", counts.present}, {"failed", counts.failed}};
    fmt::print("{}", to_text(out));
  } else {
    fmt::print("{}: {} cells, {} measured now, {} were there, {} failed\n", arguments.directory,
               wanted.size(), counts.measured, counts.present, counts.failed);
  }
  if (counts.failed > 0) {
    throw Error(ErrorKind::kEvaluation,
                fmt::format("{} of {} cells could not be measured", counts.failed, wanted.size()));
  }
}

}  // namespace quant::tool
