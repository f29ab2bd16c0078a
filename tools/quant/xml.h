// Text inside XML and HTML.
#pragma once

#include <string>

namespace quant::tool {

/// With &, <, > and " as entities, for text and for attributes in double quotes.
std::string escape_xml(const std::string& text);

}  // namespace quant::tool
