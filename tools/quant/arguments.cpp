#include "arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "quant/error.h"
#include "quant/suggest.h"

namespace quant::tool {
namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

/// "-ngl" and "-no-cnv", but not "-j8" and "-n-1".
bool has_long_name_with_one_dash(const std::string& word) {
  return word.size() > 2 && word[0] == '-' && is_letter(word[1]) && is_letter(word[2]);
}

bool has_word(const std::string& text, const std::string& word) {
  const auto ends_a_word = [&](std::size_t at) { return at >= text.size() || text[at] == ' '; };
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    if ((at == 0 || text[at - 1] == ' ') && ends_a_word(at + word.size())) return true;
  }
  return false;
}

bool takes_a_value(const CLI::App& app, const std::string& word) {
  std::vector<const CLI::App*> parts = app.get_subcommands({});
  parts.push_back(&app);
  return std::ranges::any_of(parts, [&](const CLI::App* part) {
    const CLI::Option* option = part->get_option_no_throw(word);
    return option != nullptr && option->get_items_expected_min() > 0;
  });
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* part : app.get_subcommands({})) names.push_back(part->get_name());
  return names;
}

/// What llama.cpp's users may type of habit.
bool is_of_llamacpp_alone(const std::string& word) {
  static constexpr std::string_view kNames[] = {
      "-ngl",   "--gpu-layers", "--n-gpu-layers", "-dev",       "--device",     "-sm",
      "-mg",    "-ts",          "-nkvo",          "-fa",        "--flash-attn", "--mlock",
      "--mmap", "--no-mmap",    "--numa",         "--no-warmup"};
  return std::ranges::find(kNames, word) != std::end(kNames);
}

std::string unknown_argument(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names = command_names(app);
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (std::ranges::find(known, word) != known.end()) return "";
  if (is_of_llamacpp_alone(word)) {
    return fmt::format("'{}' is an option of llama.cpp that nothing here answers to: leave it out",
                       word);
  }
  const std::string nearest = nearest_name(word, known);
  if (nearest.empty()) return fmt::format("unknown argument '{}'; see quant --help", word);
  return fmt::format("unknown argument '{}'; did you mean {}?", word, nearest);
}

}  // namespace

std::vector<std::string> arguments_of(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (std::string& argument : arguments) {
    if (argument == "-ctk") argument = "--cache-type-k";
    if (argument == "-ctv") argument = "--cache-type-v";
    if (argument == "--") break;
  }
  return arguments;
}

void refuse_long_names_with_one_dash(const CLI::App& app,
                                     const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    if (takes_a_value(app, arguments[i])) {
      ++i;  // whatever its value looks like
    } else if (has_long_name_with_one_dash(arguments[i])) {
      throw Error(ErrorKind::kUsage, unknown_argument(app, arguments[i]));
    }
  }
}

void refuse_mistyped_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0].starts_with('-')) return;
  const std::string& word = arguments[0];
  if (word.find_first_of("./") != std::string::npos) return;  // meant as a file
  const std::vector<std::string> names = command_names(app);
  const std::vector<std::string_view> known(names.begin(), names.end());
  std::error_code no_answer;
  if (std::ranges::find(known, word) != known.end() || std::filesystem::exists(word, no_answer)) {
    return;
  }
  const std::string nearest = nearest_name(word, known);
  if (nearest.empty()) return;
  throw Error(
      ErrorKind::kUsage,
      fmt::format("unknown command '{}', and no such file; did you mean {}?", word, nearest));
}

std::string explain_unknown(const CLI::App& app, const std::string& message,
                            const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    const std::string word = argument.substr(0, argument.find('='));
    if (word.empty() || !(has_word(message, word) || has_word(message, argument))) continue;
    std::string explanation = unknown_argument(app, word);
    if (!explanation.empty()) return explanation;
  }
  return message;
}

}  // namespace quant::tool
