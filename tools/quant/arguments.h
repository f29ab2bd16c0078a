// Words of the command line, before and after the parser has seen them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace quant::tool {

/// The words as the parser expects them.
std::vector<std::string> arguments_of(int argc, const char* const* argv);

/// Throws Error(kUsage) for a first word that is no file but almost a command, which a parser takes
/// for a model.
void refuse_mistyped_command(const CLI::App& app, const std::vector<std::string>& arguments);

/// Throws Error(kUsage) for words like "-ngl" and "-fa", which llama.cpp's users type and which a
/// parser takes for -n and -f with their values.
void refuse_long_names_with_one_dash(const CLI::App& app,
                                     const std::vector<std::string>& arguments);

/// One line that names the argument which the parser's message is about and the nearest thing that
/// would have been understood.
std::string explain_unknown(const CLI::App& app, const std::string& message,
                            const std::vector<std::string>& arguments);

}  // namespace quant::tool
