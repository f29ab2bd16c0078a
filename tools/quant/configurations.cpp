#include "configurations.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "quant/error.h"
#include "quant/memory.h"

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

std::vector<KvSpec> configurations_with_baseline(const RunOptions& run) {
  constexpr KvSpec kBaseline{{KvType::kFp32, 0, 0}, {KvType::kFp32, 0, 0}};
  std::vector<KvSpec> specs = configurations(run);
  std::erase(specs, kBaseline);
  specs.insert(specs.begin(), kBaseline);
  if (specs.size() < 2) {
    throw Error(ErrorKind::kUsage, "nothing to compare with FP32: give other configurations in -k");
  }
  return specs;
}

Json sequence_record(const Lockstep& lockstep, int sequence) {
  const CacheMemory memory = lockstep.cache_memory(sequence);
  Json record{{"configuration", kv_spec_text(lockstep.spec(sequence))}};
  record.update(spec_record(lockstep.spec(sequence)));
  record.update(memory_record(memory));
  const auto ratio_to = [&](KvType type) {
    const KvSpec plain{{type, 0, 0}, {type, 0, 0}};
    return static_cast<double>(cache_bytes(lockstep.model().config(), plain,
                                           lockstep.options().batch, memory.positions)) /
           static_cast<double>(memory.allocated);
  };
  record["ratio_fp32"] = ratio_to(KvType::kFp32);
  record["ratio_fp16"] = ratio_to(KvType::kFp16);
  if (!lockstep.rope_factors().empty()) record["rope_factors"] = lockstep.rope_factors();
  return record;
}

}  // namespace quant::tool
