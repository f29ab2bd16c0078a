// A report as a web page that needs nothing but itself.
#pragma once

#include <string>

#include "record.h"

namespace quant::tool {

/// HTML with the pictures as SVG and the tables; no scripts, nothing loaded from elsewhere.
std::string report_page(const Json& data);

}  // namespace quant::tool
