#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "commands.h"
#include "files.h"
#include "measure.h"
#include "quant/tokenizer.h"

namespace quant::tool {
namespace {

/// Bytes as a terminal can show them: control characters and broken UTF-8 as escapes.
std::string printable(const std::string& bytes) {
  return nlohmann::json(bytes).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

void run_tokenize(const TokenizeOptions& options) {
  const auto tokenizer = Tokenizer::load(options.model);
  const std::string text = read_text(options.text);
  std::vector<Token> ids = encode_text(*tokenizer, options.text, text, options.parse_special);
  if (const auto bos = tokenizer->prefix(); bos.has_value() && !options.no_bos) {
    ids.insert(ids.begin(), *bos);
  }
  if (const auto eos = tokenizer->suffix()) ids.push_back(*eos);
  if (options.json) {
    nlohmann::ordered_json out{{"schema_version", 1},
                               {"tokenizer", tokenizer->model_name()},
                               {"pre_tokenizer", tokenizer->pre_name()},
                               {"text_sha256", sha256_of(text)},
                               {"count", ids.size()},
                               {"ids", ids}};
    fmt::print("{}\n", out.dump());
  } else if (options.ids_only) {
    fmt::print("{}\n", fmt::join(ids, " "));
  } else {
    for (const Token id : ids)
      fmt::print("{:>8}  {}\n", id, printable(tokenizer->token_bytes(id, true)));
  }
}

}  // namespace quant::tool
