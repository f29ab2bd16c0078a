// Which options belong to which command. What would be ignored is refused instead.
#pragma once

#include "options.h"

namespace quant::tool {

// Headings of the help text; an option's heading decides which commands it belongs to.
inline constexpr const char* kOtherOptions = "Options";
inline constexpr const char* kTaskOptions = "What to do";
inline constexpr const char* kCacheOptions = "KV cache";
inline constexpr const char* kComputingOptions = "Computing";
inline constexpr const char* kPplOptions = "Perplexity";
inline constexpr const char* kLogitsOptions = "Files of log-probabilities (--ppl)";
inline constexpr const char* kGenerateOptions = "Generation";
inline constexpr const char* kResultOptions = "Results";

/// Throws Error(kUsage) for an option in front of or without a subcommand that has no effect on
/// this command. Some are welcome everywhere: threads, batch and seed, which people give by habit
/// and which change no result where they have no effect.
void refuse_without_effect(const CLI::App& app, const Options& options);

/// Throws Error(kUsage) if a result would replace a file that the same command reads. Only
/// `check --update` means to, which does not go through -o.
void refuse_to_replace_inputs(const Options& options);

}  // namespace quant::tool
