// What is special about tokens beyond the types in the file: the ids it names, and, because many
// files name or type them wrongly, well-known texts. Facts from llama.cpp b11434,
// src/llama-vocab.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "quant/error.h"
#include "text/vocabulary.h"

namespace quant {
namespace {

/// Texts that end a generation in some model.
constexpr std::string_view kEndTexts[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    "[e~[",
};

/// Texts of tokens for filling in the middle of a file. If the file does not name one by its
/// keys, the first known text is it.
struct FillToken {
  std::string_view keys[2];
  bool ends_generation;
  std::string_view texts[8];
};
constexpr FillToken kFillTokens[] = {
    {{"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"},
     false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uFF5Cfim\u2581begin\uFF5C>", "<PRE>",
      "\u2581<PRE>", "<|code_prefix|>", "<|prefix|>"}},
    {{"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"},
     false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uFF5Cfim\u2581hole\uFF5C>", "<SUF>",
      "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>"}},
    {{"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"},
     false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uFF5Cfim\u2581end\uFF5C>", "<MID>",
      "\u2581<MID>", "<|code_middle|>", "<|middle|>"}},
    {{"tokenizer.ggml.fim_pad_token_id"},
     true,
     {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {{"tokenizer.ggml.fim_rep_token_id"},
     true,
     {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {{"tokenizer.ggml.fim_sep_token_id"}, true, {"<|file_sep|>"}},
};

/// Control tokens that are part of what a model says.
constexpr std::string_view kVisibleTexts[] = {"<|channel|>", "<|message|>", "<|start|>",
                                              "<|constrain|>"};

/// The id under a key. Files say "none" with -1, as 64 or as 32 bits.
std::optional<Token> get_token(const GgufFile& file, const Vocabulary& vocabulary,
                               std::string_view key) {
  const auto id = file.get_int(key);
  if (!id || *id == -1 || *id == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  if (*id < 0 || *id >= vocabulary.size()) {
    throw Error(ErrorKind::kModel, fmt::format("{}: {} is {}, but there are {} tokens", file.path(),
                                               key, *id, vocabulary.size()));
  }
  return static_cast<Token>(*id);
}

void add_attribute(Vocabulary& vocabulary, Token token, int attribute) {
  vocabulary.set_attributes(token, vocabulary.attributes(token) | attribute);
}

Token find_any(const Vocabulary& vocabulary, std::span<const std::string_view> texts) {
  for (const std::string_view text : texts) {
    const Token token = text.empty() ? kNoToken : vocabulary.find(text);
    if (token != kNoToken) return token;
  }
  return kNoToken;
}

void find_fill_tokens(const GgufFile& file, Vocabulary& vocabulary, std::vector<bool>& ends) {
  for (const FillToken& fill : kFillTokens) {
    std::optional<Token> token;
    for (const std::string_view key : fill.keys) {
      if (!key.empty() && !token) token = get_token(file, vocabulary, key);
    }
    if (!token) {
      const Token found = find_any(vocabulary, fill.texts);
      if (found == kNoToken) continue;
      add_attribute(vocabulary, found, kTokenControl);
      token = found;
    }
    if (fill.ends_generation) ends[static_cast<std::size_t>(*token)] = true;
  }
}

/// Whether a token with this text ends generations so far.
bool ends_with_text(const Vocabulary& vocabulary, const std::vector<bool>& ends,
                    std::string_view text) {
  const Token token = vocabulary.find(text);
  return token != kNoToken && ends[static_cast<std::size_t>(token)];
}

void exempt(Vocabulary& vocabulary, std::vector<bool>& ends, std::string_view text,
            int attributes) {
  const Token token = vocabulary.find(text);
  ends[static_cast<std::size_t>(token)] = false;
  vocabulary.set_attributes(token, attributes);
}

/// Some models use a text that ends other models' generations within theirs.
void apply_exemptions(Vocabulary& vocabulary, std::vector<bool>& ends) {
  const auto has = [&](std::string_view text) { return ends_with_text(vocabulary, ends, text); };
  const bool calls = has("<|call|>") || has("<|calls|>");
  if (has("<|end|>") && calls && (has("<|return|>") || has("<|flush|>"))) {
    exempt(vocabulary, ends, "<|end|>", kTokenUserDefined);
  }
  if (has("</s>") && (has("<|tool_response>") || has("<|plamo:eos|>"))) {
    exempt(vocabulary, ends, "</s>", kTokenNormal);
  }
}

bool contains_any(std::string_view text, std::span<const std::string_view> parts) {
  return std::ranges::any_of(
      parts, [&](std::string_view part) { return text.find(part) != std::string_view::npos; });
}

/// Which tokens take white space around them away is not in the file; models' names tell.
void apply_stripping(const GgufFile& file, Vocabulary& vocabulary) {
  constexpr std::string_view kMaskPre[] = {"jina-v2-de", "jina-v2-es", "jina-v2-code"};
  constexpr std::string_view kMaskArchitectures[] = {"nomic-bert-moe", "jina-bert-v3"};
  constexpr std::string_view kPhi3Names[] = {"phi-3", "phi3"};
  constexpr std::string_view kPhi3Exceptions[] = {"<unk>", "<s>", "<|endoftext|>"};

  std::string name(file.get_string("general.name").value_or(""));
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const auto strip_left = [&](std::string_view text) {
    const Token token = vocabulary.find(text);
    if (token != kNoToken) add_attribute(vocabulary, token, kTokenStripLeft);
  };
  if (contains_any(file.get_string("tokenizer.ggml.pre").value_or(""), kMaskPre) ||
      contains_any(file.get_string("general.architecture").value_or(""), kMaskArchitectures)) {
    strip_left("<mask>");
  } else if (contains_any(name, kPhi3Names)) {
    for (Token token = 0; token < vocabulary.size(); ++token) {
      const bool special =
          vocabulary.attributes(token) & (kTokenControl | kTokenUserDefined | kTokenUnknown);
      const std::string_view text = vocabulary.text(token);
      if ((special || text == "</s>") &&
          std::ranges::find(kPhi3Exceptions, text) == std::end(kPhi3Exceptions)) {
        add_attribute(vocabulary, token, kTokenStripRight);
      }
    }
  } else if (name.find("modern-bert") != std::string::npos) {
    strip_left("[MASK]");
  }
}

}  // namespace

SpecialTokens find_special_tokens(const GgufFile& file, Vocabulary& vocabulary,
                                  const SpecialDefaults& defaults) {
  const auto get_or = [&](std::string_view key, Token fallback) -> std::optional<Token> {
    if (const auto token = get_token(file, vocabulary, key)) return token;
    if (fallback == kNoToken || fallback >= vocabulary.size()) return std::nullopt;
    return fallback;
  };
  SpecialTokens special;
  special.bos = get_or("tokenizer.ggml.bos_token_id", defaults.bos);
  special.eos = get_or("tokenizer.ggml.eos_token_id", defaults.eos);
  special.unknown = get_or("tokenizer.ggml.unknown_token_id", defaults.unknown);
  special.end_of_generation.assign(static_cast<std::size_t>(vocabulary.size()), false);
  std::vector<bool>& ends = special.end_of_generation;

  find_fill_tokens(file, vocabulary, ends);
  for (const std::string_view text : kEndTexts) {
    const Token token = vocabulary.find(text);
    if (token == kNoToken) continue;
    ends[static_cast<std::size_t>(token)] = true;
    add_attribute(vocabulary, token, kTokenControl);
  }
  for (const std::string_view text : kVisibleTexts) {
    const Token token = vocabulary.find(text);
    if (token != kNoToken) vocabulary.set_attributes(token, kTokenUserDefined);
  }
  for (const auto token : {special.eos, get_or("tokenizer.ggml.eot_token_id", kNoToken),
                           get_or("tokenizer.ggml.eom_token_id", kNoToken)}) {
    if (token) ends[static_cast<std::size_t>(*token)] = true;
  }
  apply_exemptions(vocabulary, ends);
  apply_stripping(file, vocabulary);
  return special;
}

}  // namespace quant
