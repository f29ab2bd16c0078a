#include "configurations.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "quant/error.h"

namespace quant::tool {

std::vector<KvSpec> configurations(const RunOptions& run) {
  const KvType values = parse_kv_type(run.value_type);
  const KvSpec defaults{{values, run.key_window, run.key_sink},
                        {values, run.value_window, run.value_sink}};
  std::vector<KvSpec> specs;
  std::stringstream list(run.key_type);
  for (std::string text; std::getline(list, text, ',');) {
    const KvSpec spec = parse_kv_spec(text, defaults);
    if (std::ranges::find(specs, spec) != specs.end()) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("configuration '{}' is given twice", kv_spec_text(spec)));
    }
    specs.push_back(spec);
  }
  return specs;
}

}  // namespace quant::tool
