// The contents of one GGUF file, checked, before split files are put together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "gguf/gguf.h"

namespace quant {

struct GgufContents {
  std::uint32_t version = 0;
  std::vector<std::pair<std::string, MetadataValue>> metadata;  ///< keys are unique
  std::vector<Tensor> tensors;  ///< in the order of the file, data within it, no two overlap

  const MetadataValue* find(std::string_view key) const noexcept;
};

/// Views in the result point into the file's map. Throws Error(kModel).
GgufContents parse_gguf(const MappedFile& file);

}  // namespace quant
