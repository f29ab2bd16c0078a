// Splits a text into the pieces that byte-pair encoding works on one by one. Which patterns go
// with a name of tokenizer.ggml.pre, and in which order they apply, is as in llama.cpp b11434
// (src/llama-vocab.cpp); so is the meaning of their classes (src/unicode.cpp).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"

namespace quant {

struct PreTokenizerSpec {
  std::string_view name;
  /// Each splits what the ones before left: its matches, and what is between them, are pieces.
  std::span<const std::string_view> patterns;
  /// A piece that is a token as a whole is not taken apart.
  bool ignore_merges = false;
  /// BOS is prepended unless the file says otherwise.
  bool add_bos = false;
  /// Tokens are text with U+2581 for a space, and <0xXX> for other bytes (as Gemma 4), not GPT-2's
  /// byte alphabet.
  bool raw_text = false;
  /// A run of newlines that is a token as a whole is not taken apart.
  bool newline_tokens = false;
};

/// All known names, sorted.
std::span<const PreTokenizerSpec> pre_tokenizer_specs() noexcept;
/// Throws Error(kModel) that lists the known names.
const PreTokenizerSpec& find_pre_tokenizer(std::string_view name);

/// Immutable; split may be called from several threads.
class PreTokenizer {
 public:
  explicit PreTokenizer(const PreTokenizerSpec& spec);

  /// Where the pieces of a text of any bytes end, ascending, the last at text.size(); no piece is
  /// empty. Bytes that are not UTF-8 are like characters that Unicode does not assign. Linear time.
  std::vector<std::size_t> split(std::string_view text) const;

 private:
  std::vector<Regex> steps_;
};

}  // namespace quant
