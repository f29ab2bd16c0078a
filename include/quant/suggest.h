// "Did you mean": the nearest of the known names.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace quant {

/// The known name with the smallest Levenshtein distance to the word, or "" if none is within a
/// third of the longer one's length (at least 2) or is what the word begins with ("benchmark").
std::string nearest_name(std::string_view word, std::span<const std::string_view> known);

}  // namespace quant
