#include <fmt/format.h>

#include <array>
#include <vector>

#include "formats/kv/all.h"
#include "quant/error.h"
#include "quant/kv_spec.h"
#include "quant/suggest.h"
#include "simd/scalar.h"

namespace quant {
namespace {

template <class... Formats>
constexpr std::array<KvFormatInfo, sizeof...(Formats)> infos(KvFormatList<Formats...>) {
  return {KvFormatInfo{Formats::kType, Formats::kName, Formats::kSummary, Formats::row_bytes,
                       Formats::supports}...};
}

constexpr auto kInfos = infos(KvFormats<Scalar>{});

struct Alias {
  std::string_view name;
  KvType type;
};
constexpr Alias kAliases[] = {{"f32", KvType::kFp32}, {"f16", KvType::kFp16}};
/// llama.cpp's cache types that are not among ours, and the smallest of ours with no fewer bits.
constexpr Alias kForeign[] = {{"q4_0", KvType::kUniform4b},
                              {"q4_1", KvType::kUniform4b},
                              {"iq4_nl", KvType::kUniform4b},
                              {"q5_0", KvType::kQ8_0},
                              {"q5_1", KvType::kQ8_0}};

/// " window 64", or " k-window 64 v-window 8" where the sides differ.
std::string describe_sides(std::string_view what, int key, int value) {
  if (key == value) return key == 0 ? "" : fmt::format(" {} {}", what, key);
  std::string text;
  if (key != 0) text += fmt::format(" k-{} {}", what, key);
  if (value != 0) text += fmt::format(" v-{} {}", what, value);
  return text;
}

}  // namespace

std::span<const KvFormatInfo> kv_formats() noexcept { return kInfos; }

const KvFormatInfo& kv_format_info(KvType type) noexcept {
  return kInfos[static_cast<std::size_t>(type)];
}

KvType parse_kv_type(std::string_view name) {
  std::vector<std::string_view> names;
  for (const KvFormatInfo& format : kInfos) {
    if (format.name == name) return format.type;
    names.push_back(format.name);
  }
  for (const Alias& alias : kAliases) {
    if (alias.name == name) return alias.type;
  }
  std::string nearest = nearest_name(name, names);
  for (const Alias& foreign : kForeign) {
    if (foreign.name == name) nearest = kv_format_info(foreign.type).name;
  }
  throw Error(
      ErrorKind::kUsage,
      fmt::format("unknown KV type '{}'{}: {}", name,
                  nearest.empty() ? "; known" : fmt::format("; did you mean '{}'? Known", nearest),
                  fmt::join(names, ", ")));
}

void require_head_dim(KvType type, int head_dim) {
  const KvFormatInfo& format = kv_format_info(type);
  if (format.supports(head_dim)) return;
  std::vector<int> held;
  for (int d = 16; d <= kKvMaxHeadDim; d += 16) {
    if (format.supports(d)) held.push_back(d);
  }
  throw Error(ErrorKind::kModel,
              fmt::format("{} cannot hold rows of head_dim {}; it holds {}; choose another KV type",
                          format.name, head_dim, fmt::join(held, ", ")));
}

std::string describe(const KvSpec& spec) {
  std::string text(kv_format_info(spec.key.type).name);
  if (spec.value.type != spec.key.type) {
    text += fmt::format("/{}", kv_format_info(spec.value.type).name);
  }
  return text + describe_sides("window", spec.key.window, spec.value.window) +
         describe_sides("sink", spec.key.sink, spec.value.sink);
}

}  // namespace quant
