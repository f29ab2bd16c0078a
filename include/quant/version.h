// What was built, for records.
#pragma once

#include <string_view>

namespace quant {

std::string_view version() noexcept;   ///< "0.1.0"
std::string_view compiler() noexcept;  ///< "gcc 12.2.0"

}  // namespace quant
