// The picture of a report: what each KV format costs in memory and in perplexity.
#pragma once

#include <string>
#include <vector>

#include "record.h"

namespace quant::tool {

/// A group's rows as an SVG: cache bytes against the difference from the baseline with its 95 %
/// interval, and the Pareto front. What a point is called in full stands in its <title>.
std::string pareto_picture(const Json& group, bool titled);
/// The pictures of all groups, one below the other in one SVG.
std::string pictures_of(const Json& data);

}  // namespace quant::tool
