// What needle prints and draws, from its record.
#pragma once

#include <string>

#include "record.h"

namespace quant::tool {

/// Tables for the terminal.
std::string needle_report(const Json& record);
/// A line for each configuration, length and depth.
std::string needle_csv(const Json& record);
/// A heat map of each configuration, one SVG.
std::string needle_picture(const Json& record);

}  // namespace quant::tool
