// Where sentences end.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace quant {

/// Bytes behind the sentences of a text, ascending: behind a full stop, question or exclamation
/// mark and the quotes and brackets that it closes, if white space and no small letter follows. Not
/// behind initials and common abbreviations ("Mr."). Chinese and Japanese marks need no white
/// space.
std::vector<std::size_t> sentence_ends(std::string_view text);

}  // namespace quant
