#include "sweep_store.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <numeric>

#include "files.h"
#include "quant/error.h"

namespace quant::tool {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "the files of losses are little-endian");

template <class T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Number of windows, tokens of each, then all losses.
std::string pack_losses(const EvalPlan& plan, const PerplexityResult& result) {
  std::string bytes;
  put(bytes, static_cast<std::uint32_t>(plan.windows.size()));
  for (const EvalWindow& window : plan.windows) {
    put(bytes, static_cast<std::uint32_t>(window.scored_tokens()));
  }
  for (const TokenLoss& loss : result.losses) put(bytes, static_cast<float>(loss.nll));
  return bytes;
}

[[noreturn]] void refuse_damaged(const fs::path& path) {
  throw Error(ErrorKind::kIo,
              fmt::format("{}: damaged; remove it and run the sweep again", path.string()));
}

std::vector<std::vector<double>> unpack_losses(const fs::path& path) {
  const std::string bytes = read_text(path.string());
  std::size_t at = 0;
  const auto take = [&]<class T>(T value) {
    if (bytes.size() - at < sizeof value) refuse_damaged(path);
    std::memcpy(&value, bytes.data() + at, sizeof value);
    at += sizeof value;
    return value;
  };
  const std::uint32_t n_windows = take(std::uint32_t{});
  if (n_windows > bytes.size()) refuse_damaged(path);
  std::vector<std::uint32_t> counts(n_windows);
  for (std::uint32_t& count : counts) count = take(std::uint32_t{});
  const std::uint64_t total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (bytes.size() - at != total * sizeof(float)) refuse_damaged(path);
  std::vector<std::vector<double>> losses(n_windows);
  for (std::size_t w = 0; w < n_windows; ++w) {
    losses[w].resize(counts[w]);
    for (double& loss : losses[w]) loss = static_cast<double>(take(float{}));
  }
  return losses;
}

Json read_json(const fs::path& path) {
  Json json = Json::parse(read_text(path.string()), nullptr, false);
  if (!json.is_object()) refuse_damaged(path);
  return json;
}

std::string one_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Json list_of(const std::vector<Cell>& cells) {
  Json list{{"schema_version", 1}, {"cells", Json::array()}};
  for (const Cell& cell : cells) {
    Json entry{{"key", cell.key},
               {"label", cell.label},
               {"model_path", cell.run.model},
               {"text_path", cell.ppl.text},
               {"seed", cell.seed},
               {"tokens", cell.tokens},
               {"memory_bytes", cell.memory_bytes}};
    entry.update(cell.determinants);
    list["cells"].push_back(std::move(entry));
  }
  return list;
}

void SweepStore::prepare(const std::vector<Cell>& cells) const {
  std::error_code failed;
  fs::create_directories(directory_ / "cells", failed);
  if (failed) {
    throw Error(ErrorKind::kIo, fmt::format("{}: {}", directory_.string(), failed.message()));
  }
  const fs::path path = directory_ / "grid.json";
  const std::string list = to_text(list_of(cells));
  // Left alone where it says the same: others may be reading it, and its time means something.
  if (!fs::exists(path) || read_text(path.string()) != list) write_file(path.string(), list);
}

Json SweepStore::grid() const {
  const fs::path path = directory_ / "grid.json";
  if (!fs::exists(path)) {
    throw Error(ErrorKind::kIo, fmt::format("{}: not the folder of a sweep (it has no grid.json)",
                                            directory_.string()));
  }
  Json grid = read_json(path);
  if (!grid.contains("cells")) refuse_damaged(path);
  return grid;
}

bool SweepStore::has(const std::string& key) const {
  return fs::exists(path_of(key, ".json")) && fs::exists(path_of(key, ".losses"));
}

void SweepStore::save(const Cell& cell, const Measurement& measured) const {
  Json record = measured.record;
  record["seed"] = cell.seed;
  record["cell"] = cell.key;
  write_file(path_of(cell.key, ".losses").string(), pack_losses(measured.plan, measured.result));
  write_file(path_of(cell.key, ".json").string(), one_line(record));
}

StoredCell SweepStore::load(const std::string& key) const {
  return {read_json(path_of(key, ".json")), unpack_losses(path_of(key, ".losses"))};
}

fs::path SweepStore::path_of(const std::string& key, const char* extension) const {
  return directory_ / "cells" / (key + extension);
}

}  // namespace quant::tool
