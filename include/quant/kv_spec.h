// How keys and values are kept in the KV cache.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace quant {

/// The formats of docs/kv-formats.md, in the order of the registry (src/formats/kv/all.h).
enum class KvType {
  kFp32,
  kFp16,
  kBf16,
  kQ8_0,
  kUniform2b,
  kUniform3b,
  kUniform4b,
  kTurboKv2b,
  kTurboKv3b,
  kTurboKv4b,
};

/// What a format promises, the same on every instruction set.
struct KvFormatInfo {
  KvType type;
  std::string_view name;
  std::string_view summary;  ///< one line for `quant types`
  /// Bytes of one row (one position of one KV head) of head_dim values.
  std::size_t (*row_bytes)(int head_dim);
  /// Whether rows can have head_dim values. All formats hold 16, 32, 48, 64, 80, 96, 112, 128, 192
  /// and 256, none holds what is not a multiple of 16 or beyond 512.
  bool (*supports)(int head_dim);
};

std::span<const KvFormatInfo> kv_formats() noexcept;
const KvFormatInfo& kv_format_info(KvType type) noexcept;
/// Accepts the registry's names and llama.cpp's f32, f16. Throws Error(kUsage) that names the
/// nearest known name.
KvType parse_kv_type(std::string_view name);

/// Throws Error(kModel) that names the format and the head_dims it holds.
void require_head_dim(KvType type, int head_dim);

/// One side of the cache. Of the keys (or values) a query at t sees, those at i < sink and those
/// with t - i < window are exact; all others are decoded codes.
struct KvSide {
  KvType type = KvType::kFp16;
  int window = 0;
  int sink = 0;
  bool operator==(const KvSide&) const = default;
};

struct KvSpec {
  KvSide key;
  KvSide value;
  bool operator==(const KvSpec&) const = default;
};

/// "turbo_kv_4b", "turbo_kv_4b k-window 128", "turbo_kv_4b/fp16 window 64 sink 4", ...
std::string describe(const KvSpec& spec);

/// Reads "KEYS[/VALUES][@OPTION=N[:OPTION=N…]]" with the options window, k-window, v-window and
/// sink: "turbo_kv_4b/fp16@k-window=128:sink=4". What it does not say is taken from `defaults`;
/// what it says of one side wins over window. Throws Error(kUsage) that names the part at fault.
KvSpec parse_kv_spec(std::string_view text, const KvSpec& defaults);
/// The shortest text with both types that parse_kv_spec reads back as the same spec.
std::string kv_spec_text(const KvSpec& spec);

}  // namespace quant
