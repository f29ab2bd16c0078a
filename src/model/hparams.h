// Reads hyper-parameters from metadata and refuses what cannot be meant or computed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"
#include "quant/model.h"

namespace quant {

/// The keys "ARCH.suffix" of a file, where ARCH is its general.architecture. Every member throws
/// Error(kModel) that names the key if the value has the wrong type or is out of range.
class Hparams {
 public:
  explicit Hparams(const GgufFile& file);

  const std::string& architecture() const noexcept { return architecture_; }
  std::string general_name() const;
  bool has(std::string_view suffix) const;

  /// An integer in [min, max]; for keys that may differ between layers also an array of one and
  /// the same integer. Throws if it is absent.
  int integer(std::string_view suffix, int min, int max) const;
  int integer_or(std::string_view suffix, int fallback, int min, int max) const;
  /// A finite number, greater than zero.
  double positive(std::string_view suffix) const;
  double positive_or(std::string_view suffix, double fallback) const;
  /// A finite number, zero or greater.
  double non_negative_or(std::string_view suffix, double fallback) const;
  std::string_view text_or(std::string_view suffix, std::string_view fallback) const;
  /// An array of n integers or truth values as truth values, or empty if the key is absent or no
  /// array.
  std::vector<bool> flags(std::string_view suffix, std::size_t n) const;

  [[noreturn]] void fail(const std::string& problem) const;

 private:
  std::string key(std::string_view suffix) const;

  const GgufFile& file_;
  std::string architecture_;
};

/// Everything that all architectures have in common, one rope (see read_rope), all layers alike.
ModelConfig read_common(const Hparams& hparams, RopeStyle style);

/// Makes the layers marked by attention.sliding_window_pattern see only the last `window`
/// positions. The key's value is an array of marks, or a number n that leaves every n-th layer
/// without the window (0 leaves none); absent, n is `default_pattern`.
void mark_sliding_layers(const Hparams& hparams, int window, int default_pattern,
                         ModelConfig& config);

}  // namespace quant
