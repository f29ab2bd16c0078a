#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "quant/error.h"
#include "quant/kv_spec.h"
#include "quant/suggest.h"

namespace quant {
namespace {

constexpr std::string_view kOptions[] = {"window", "k-window", "v-window", "sink"};

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Error(ErrorKind::kUsage, fmt::format("configuration '{}': {}", text, why));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// The options of one configuration, where given.
struct Given {
  std::optional<int> window, key_window, value_window, sink;
  std::optional<int>& at(std::string_view name) {
    return name == "window"     ? window
           : name == "k-window" ? key_window
           : name == "v-window" ? value_window
                                : sink;
  }
};

Given parse_given(std::string_view text, std::string_view options) {
  Given given;
  for (const std::string_view option : split(options, ':')) {
    const std::size_t equals = option.find('=');
    const std::string_view name = option.substr(0, equals);
    if (std::ranges::find(kOptions, name) == std::end(kOptions)) {
      const std::string nearest = nearest_name(name, kOptions);
      refuse(text, fmt::format("unknown option '{}'{}; known: {}", name,
                               nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest),
                               fmt::join(kOptions, ", ")));
    }
    const std::string_view digits =
        equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
    int number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
        number < 0) {
      refuse(text, fmt::format("{}= needs a whole number from 0 on", name));
    }
    if (given.at(name).has_value()) refuse(text, fmt::format("{} is given twice", name));
    given.at(name) = number;
  }
  return given;
}

}  // namespace

KvSpec parse_kv_spec(std::string_view text, const KvSpec& defaults) {
  const std::size_t at = text.find('@');
  const std::vector<std::string_view> types = split(text.substr(0, at), '/');
  if (types.size() > 2 || types.front().empty()) {
    refuse(text, "expected KEYS/VALUES@OPTION=N:OPTION=N, such as turbo_kv_4b/fp16@k-window=128");
  }
  KvSpec spec = defaults;
  spec.key.type = parse_kv_type(types[0]);
  if (types.size() == 2) spec.value.type = parse_kv_type(types[1]);
  if (at == std::string_view::npos) return spec;
  const Given given = parse_given(text, text.substr(at + 1));
  const auto both = given.window;
  spec.key.window = given.key_window.value_or(both.value_or(spec.key.window));
  spec.value.window = given.value_window.value_or(both.value_or(spec.value.window));
  if (given.sink.has_value()) spec.key.sink = spec.value.sink = *given.sink;
  return spec;
}

std::string kv_spec_text(const KvSpec& spec) {
  std::vector<std::string> options;
  const auto add = [&](std::string_view name, int n) {
    if (n != 0) options.push_back(fmt::format("{}={}", name, n));
  };
  if (spec.key.window == spec.value.window) {
    add("window", spec.key.window);
  } else {
    add("k-window", spec.key.window);
    add("v-window", spec.value.window);
  }
  add("sink", spec.key.sink);
  return fmt::format("{}/{}{}{}", kv_format_info(spec.key.type).name,
                     kv_format_info(spec.value.type).name, options.empty() ? "" : "@",
                     fmt::join(options, ":"));
}

}  // namespace quant
