// What was built, for records.
#pragma once

#include <string_view>

namespace quant {

std::string_view version() noexcept;  ///< "0.1.0"
/// Of the engine's sources (src/ and include/): equal sources measure equal numbers.
std::string_view source_sha256() noexcept;
std::string_view compiler() noexcept;  ///< "gcc 12.2.0"

}  // namespace quant
