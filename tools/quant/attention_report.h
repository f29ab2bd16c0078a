// What quant attention measured, as tables.
#pragma once

#include <string>

#include "record.h"

namespace quant::tool {

/// The claim that is checked: "the last ~500 tokens hold ~70 % of the attention, the next ~2000
/// ~20 %", published without a measurement.
inline constexpr std::int64_t kLast = 500;
inline constexpr std::int64_t kNext = 2000;
inline constexpr double kLastClaimed = 0.70;
inline constexpr double kNextClaimed = 0.20;
/// How far a share may be off for the claim to hold.
inline constexpr double kClaimTolerance = 0.05;

/// A table of layers, and of heads if asked for, and what is true of the claim.
std::string attention_report(const Json& record, bool heads);
/// The model, every layer and every head, a line each.
std::string attention_csv(const Json& record);

}  // namespace quant::tool
