// Files of log-probabilities in the format of llama.cpp's llama-perplexity
// (--kl-divergence-base, b11434), so that runs of either program can be compared with the other's.
//
// Little-endian: "_logits_", int32 context, int32 n_vocab, int32 chunks, then int32 tokens
// [chunks][context] as the tokenizer gave them (a chunk's BOS is not written over its first), then
// for each chunk a row for each of the tokens context/2 + 1 … context - 1: float scale, float
// minimum, uint16 codes [n_vocab], and one more code of padding if n_vocab is odd. The
// log-probability of token v is scale · code[v] + minimum; what is more than 16 below the most
// likely token has code 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/perplexity.h"

namespace quant {

class MappedFile;

struct LogitsHeader {
  int context;
  int n_vocab;
  int chunks;
  std::vector<Token> tokens;  ///< [chunks][context]

  /// Scored tokens.
  std::int64_t rows() const noexcept;
  /// Keeps the first chunks, at most n.
  void keep_chunks(int n);
};

/// What a file of this plan (Protocol::kLlamaCpp) for this text starts with.
LogitsHeader logits_header(const Model& model, const EvalPlan& plan, std::span<const Token> text);
/// Throws Error(kUsage) if `here` is not the beginning of what the base was computed on,
/// Error(kModel) if the vocabulary has another size.
void require_same_tokens(const LogitsHeader& base, const LogitsHeader& here);
/// The plan that computes a file's rows anew. Throws Error(kUsage) like plan_evaluation, and
/// Error(kModel) if the vocabulary has another size.
EvalPlan plan_of(const Model& model, const LogitsHeader& header, bool allow_longer = false);

/// Writes a file through sink(bytes).
class LogitsWriter {
 public:
  using Sink = std::function<void(std::string_view bytes)>;
  LogitsWriter(const LogitsHeader& header, Sink sink);
  /// The next row: logits [n_vocab].
  void add(std::span<const float> logits);

 private:
  Sink sink_;
  std::vector<std::byte> row_;
};

/// One row of a file, valid while its reader lives.
struct LogProbabilities {
  float scale;
  float minimum;
  std::span<const std::uint16_t> codes;  ///< [n_vocab]

  double of(Token token) const noexcept {
    return static_cast<double>(scale * static_cast<float>(codes[static_cast<std::size_t>(token)]) +
                               minimum);
  }
};

class LogitsReader {
 public:
  /// Throws Error(kIo) if the file cannot be read, is no such file, or is cut off.
  explicit LogitsReader(const std::string& path);
  ~LogitsReader();
  LogitsReader(LogitsReader&&) noexcept;

  const LogitsHeader& header() const noexcept { return header_; }
  /// Row 0 ≤ i < header().rows().
  LogProbabilities row(std::int64_t i) const noexcept;

 private:
  std::unique_ptr<const MappedFile> file_;
  LogitsHeader header_;
  std::size_t first_row_;
};

}  // namespace quant
