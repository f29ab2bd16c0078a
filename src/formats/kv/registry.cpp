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
constexpr std::array<KvFormatInfo, sizeof...(Formats)> infos_of(KvFormatList<Formats...>) {
  return {{{Formats::kType, Formats::kName, Formats::kSummary, Formats::row_bytes}...}};
}

constexpr auto kInfos = infos_of(AllKvFormats<Scalar>{});

constexpr bool in_order() {
  for (std::size_t i = 0; i < kInfos.size(); ++i) {
    if (static_cast<std::size_t>(kInfos[i].type) != i) return false;
  }
  return true;
}
static_assert(in_order(), "the registry must follow the order of KvType");

std::string describe_side(const KvSide& side) {
  std::string text(kv_format_info(side.type).name);
  if (side.window > 0) text += fmt::format(" window {}", side.window);
  if (side.sink > 0) text += fmt::format(" sink {}", side.sink);
  return text;
}

}  // namespace

std::span<const KvFormatInfo> kv_formats() noexcept { return kInfos; }

const KvFormatInfo& kv_format_info(KvType type) noexcept {
  return kInfos[static_cast<std::size_t>(type)];
}

KvType parse_kv_type(std::string_view name) {
  if (name == "f32") return KvType::kFp32;
  if (name == "f16") return KvType::kFp16;
  std::vector<std::string_view> names;
  for (const KvFormatInfo& info : kInfos) {
    if (name == info.name) return info.type;
    names.push_back(info.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw Error(ErrorKind::kUsage,
              nearest.empty()
                  ? fmt::format("unknown KV format '{}'; known: {}", name, fmt::join(names, ", "))
                  : fmt::format("unknown KV format '{}'; did you mean {}?", name, nearest));
}

std::string describe(const KvSpec& spec) {
  return describe_side(spec.key) + " / " + describe_side(spec.value);
}

}  // namespace quant
