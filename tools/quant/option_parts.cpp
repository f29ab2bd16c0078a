#include "option_parts.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>

#include "option_scope.h"

namespace quant::tool {

namespace {

/// Accepts what is a number as a whole and keeps the rule; `meaning` says what that is.
template <class Number, class Rule>
CLI::Validator number(std::string meaning, Rule keeps) {
  const auto problem = [meaning, keeps](const std::string& text) -> std::string {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = end == text.data() + text.size();
    if (is_number && error == std::errc() && keeps(value)) return {};
    if (is_number && error == std::errc::result_out_of_range) {
      return fmt::format("'{}' is out of range; {} is wanted", text, meaning);
    }
    return fmt::format("'{}' is not {}", text, meaning);
  };
  return {problem, "", meaning};
}

}  // namespace

CLI::Validator at_least(int least) {
  return number<int>(fmt::format("a whole number from {} on", least),
                     [least](int value) { return value >= least; });
}
CLI::Validator seed_number() {
  return number<std::uint64_t>("a whole number from 0 to 18446744073709551615",
                               [](std::uint64_t) { return true; });
}
CLI::Validator not_empty() {
  const auto problem = [](const std::string& text) -> std::string {
    return text.empty() ? "a file name is missing" : "";
  };
  return {problem, "", "a file name"};
}
CLI::Validator above_zero() {
  return number<double>("a number above 0",
                        [](double value) { return std::isfinite(value) && value > 0.0; });
}
CLI::Validator from_zero() {
  return number<double>("a number from 0 on",
                        [](double value) { return std::isfinite(value) && value >= 0.0; });
}
CLI::Validator percent_above_zero() {
  return number<double>("a percentage above 0 and up to 100",
                        [](double value) { return value > 0.0 && value <= 100.0; });
}

void begin_group(CLI::App& app, const char* heading) { app.option_defaults()->group(heading); }

void add_machine_options(CLI::App& app, int& threads, std::string& isa) {
  app.add_option("-j,-t,--threads", threads, "Threads (default: all CPUs)")
      ->check(at_least(1))
      ->type_name("THREADS");
  app.add_option("--isa", isa, "Force an instruction set: " + known_isas())->type_name("ISA");
}

CLI::Option* add_file_option(CLI::App& app, const std::string& name, std::string& path,
                             const std::string& description) {
  return app.add_option(name, path, description)->check(not_empty())->type_name("FILE");
}

void add_output_option(CLI::App& app, RunOptions& run) {
  add_file_option(app, "-o,--output", run.output, "Write the result to a file instead");
}

namespace {

void add_cache_options(CLI::App& app, RunOptions& run) {
  begin_group(app, kCacheOptions);
  app.add_option("-k,--k-type,--cache-type-k", run.key_type,
                 "KV format of the keys (see: quant types)")
      ->type_name("TYPE");
  app.add_option("-v,--v-type,--cache-type-v", run.value_type, "KV format of the values")
      ->type_name("TYPE");
  app.add_option("--k-window", run.key_window, "Most recent keys kept exact")
      ->check(at_least(0))
      ->type_name("N");
  app.add_option("--v-window", run.value_window, "Most recent values kept exact")
      ->check(at_least(0))
      ->type_name("N");
  const auto set_windows = [&app, &run](int n) {
    if (app.count("--k-window") == 0) run.key_window = n;
    if (app.count("--v-window") == 0) run.value_window = n;
  };
  app.add_option_function<int>("--window", set_windows, "Both windows, where not given apart")
      ->check(at_least(0))
      ->type_name("N");
  app.add_option_function<int>(
         "--sink", [&run](int n) { run.key_sink = run.value_sink = n; },
         "First keys and values kept exact")
      ->check(at_least(0))
      ->type_name("N");
}

}  // namespace

void add_run_options(CLI::App& app, RunOptions& run) {
  app.add_option("model,-m,--model", run.model, "Model file (GGUF)")->type_name("MODEL");
  add_cache_options(app, run);
  begin_group(app, kComputingOptions);
  app.add_option("-c,--ctx-size", run.context, "Context length in tokens")
      ->check(at_least(1))
      ->type_name("CTX");
  add_machine_options(app, run.threads, run.isa);
  app.add_option("-b,--batch-size", run.batch, "Tokens that go through the layers together")
      ->check(at_least(1))
      ->type_name("BATCH");
  app.add_option("--math", run.math, "exact (FP32 activations) or fast (int8 activations)")
      ->type_name("MODE");
  begin_group(app, kResultOptions);
  app.add_flag("--json", run.json, "Print results as JSON");
  add_output_option(app, run);
}

void add_protocol_options(CLI::App& app, PplOptions& ppl) {
  begin_group(app, kPplOptions);
  app.add_option("--protocol", ppl.protocol, "context (default), llamacpp or strided")
      ->type_name("NAME");
  app.add_option("--stride", ppl.stride, "Tokens a window advances (--protocol strided)")
      ->check(at_least(1))
      ->type_name("N");
  app.add_option("--chunks", ppl.chunks, "At most N contexts of the text")
      ->check(at_least(1))
      ->type_name("N");
  app.add_option("--offset", ppl.offset, "Leave out the first N tokens of the text")
      ->check(at_least(0))
      ->type_name("N");
  app.add_flag("--allow-longer", ppl.allow_longer, "Allow -c beyond the model's context length");
}

void add_record_options(CLI::App& app, PplOptions& ppl) {
  begin_group(app, kPplOptions);
  app.add_flag("--losses", ppl.losses, "Put each token's loss into the record (--json)");
  app.add_flag("--attention-mass", ppl.attention_mass,
               "Also measure how much attention falls on exact keys and values");
}

}  // namespace quant::tool
