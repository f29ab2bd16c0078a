#include <fmt/format.h>

#include <chrono>

#include "chat.h"
#include "commands.h"
#include "console.h"
#include "files.h"
#include "quant/chat.h"
#include "quant/error.h"
#include "quant/sampler.h"
#include "record.h"
#include "utf8_stream.h"

namespace quant::tool {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string prompt_of(const GenerateOptions& generate) {
  if (generate.prompt.has_value() && !generate.prompt_file.empty()) {
    throw Error(ErrorKind::kUsage, "two prompts given: -p PROMPT and -f FILE; leave one out");
  }
  if (generate.prompt.has_value()) {
    return *generate.prompt == "-" ? read_text("-") : *generate.prompt;
  }
  return read_text(generate.prompt_file);
}

struct Generation {
  std::vector<Token> tokens;
  std::string text;
  bool ended = false;  // by the model, not by -n
  double prefill_seconds = 0.0;
  double decode_seconds = 0.0;
};

/// show(bytes) receives whole UTF-8 characters as they come.
template <class Show>
Generation generate_text(Session& session, const std::vector<Token>& prompt, Sampler& sampler,
                         int n_predict, const Show& show) {
  const Tokenizer& tokenizer = session.model().tokenizer();
  // A model may have more rows than its tokenizer has tokens; the rest stand for nothing.
  const std::size_t n_tokens = static_cast<std::size_t>(tokenizer.vocab_size());
  Generation result;
  std::vector<Token> history = prompt;
  Utf8Stream stream;
  auto begin = std::chrono::steady_clock::now();
  session.append(prompt);
  result.prefill_seconds = seconds_since(begin);
  begin = std::chrono::steady_clock::now();
  while (static_cast<int>(result.tokens.size()) < n_predict) {
    const Token next = sampler.sample(session.logits().first(n_tokens), history);
    if (tokenizer.is_end_of_generation(next)) {
      result.ended = true;
      break;
    }
    history.push_back(next);
    result.tokens.push_back(next);
    const std::string whole = stream.push(tokenizer.token_bytes(next));
    result.text += whole;
    show(whole);
    if (static_cast<int>(result.tokens.size()) < n_predict) session.append({&next, 1});
  }
  const std::string rest = stream.finish();
  result.text += rest;
  show(rest);
  result.decode_seconds = seconds_since(begin);
  return result;
}

void check_length(const Model& model, const RunOptions& run, std::size_t prompt, int n_predict) {
  const std::size_t limit =
      static_cast<std::size_t>(run.context > 0 ? run.context : model.config().context_length);
  if (prompt + static_cast<std::size_t>(n_predict) > limit) {
    throw Error(ErrorKind::kUsage,
                fmt::format("the prompt's {} tokens and -n {} exceed the context of {}; lower -n{}",
                            prompt, n_predict, limit, run.context > 0 ? " or raise -c" : ""));
  }
  warn_beyond_training(run.context, model.config());
}

void hint_at_chat(const Model& model) {
  if (!detect_chat_format(model.chat_template()).has_value()) return;
  note(
      "this is an instruct model and the prompt is given to it raw; --chat wraps it in its "
      "template");
}

}  // namespace

void run_generate(const RunOptions& run, const GenerateOptions& generate) {
  SessionOptions options = session_options(run, MathMode::kFast);
  Sampler sampler(generate.sampler);
  const auto model = Model::load(run.model, {.threads = options.threads});
  const std::vector<Token> prompt = prompt_tokens(*model, prompt_of(generate), generate.chat);
  check_length(*model, run, prompt.size(), generate.n_predict);
  const int asked = static_cast<int>(prompt.size()) + generate.n_predict;
  options.context = run.context > 0 ? run.context : asked;
  options.reserve = options.context;
  Session session(model, options);
  if (!generate.chat) hint_at_chat(*model);
  const bool live = !run.json && run.output.empty();
  const Generation result =
      generate_text(session, prompt, sampler, generate.n_predict, [&](const std::string& bytes) {
        if (live && !bytes.empty()) print_now(bytes);
      });
  const double n_decoded = static_cast<double>(result.tokens.size());
  if (run.json) {
    Json record = configuration_record(session, run);
    record["prompt_tokens"] = prompt.size();
    record["generated_tokens"] = result.tokens.size();
    record["ended"] = result.ended;
    record["tokens"] = result.tokens;
    record["text"] = result.text;
    record["prefill_tokens_per_second"] =
        number_or_null(static_cast<double>(prompt.size()) / result.prefill_seconds);
    record["decode_tokens_per_second"] = number_or_null(n_decoded / result.decode_seconds);
    record["peak_rss_bytes"] = peak_rss_bytes();
    emit(run, to_text(record));
  } else if (live) {
    fmt::print("\n");
  } else {
    emit(run, result.text + "\n");
  }
}

}  // namespace quant::tool
