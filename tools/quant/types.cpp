#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "quant/kv_spec.h"

namespace quant::tool {
namespace {

constexpr int kHeadDims[] = {64, 128, 256};

double bits_at(const KvFormatInfo& format, int head_dim) {
  return 8.0 * static_cast<double>(format.row_bytes(head_dim)) / head_dim;
}

}  // namespace

void run_types(bool json) {
  if (json) {
    nlohmann::ordered_json out{{"schema_version", 1}, {"types", nlohmann::json::array()}};
    for (const KvFormatInfo& format : kv_formats()) {
      nlohmann::ordered_json row{{"name", format.name}, {"summary", format.summary}};
      for (const int d : kHeadDims) row["bits_per_value"][std::to_string(d)] = bits_at(format, d);
      out["types"].push_back(row);
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("KV formats for -k and -v, with bits per value at a head_dim of 64, 128 and 256:\n\n");
  for (const KvFormatInfo& format : kv_formats()) {
    fmt::print("  {:<12}", format.name);
    for (const int d : kHeadDims) fmt::print(" {:7.3f}", bits_at(format, d));
    fmt::print("  {}\n", format.summary);
  }
}

}  // namespace quant::tool
