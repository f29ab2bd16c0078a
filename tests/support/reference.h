// Reference logits and losses from an independent engine, as ../shared/ref and tests/data/peer keep
// them.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "quant/model.h"

namespace quant::test {

/// A float32 array of NumPy's .npy format, C order.
struct FloatArray {
  std::vector<std::size_t> shape;
  std::vector<float> values;
};
FloatArray read_npy(const std::filesystem::path& path);

/// One model with the logits after each of its tokens.
struct LogitReference {
  std::string name;
  std::filesystem::path model;
  std::filesystem::path logits;  ///< [tokens][n_vocab]
  std::vector<Token> tokens;
  int context;
  double stored_max_difference;  ///< of the other engine's own 8-bit activations
};
inline void PrintTo(const LogitReference& reference, std::ostream* out) { *out << reference.name; }
/// All references in a directory with tiny.json or peer.json; none if it is absent.
std::vector<LogitReference> read_references(const std::filesystem::path& index);

/// One line of a .nll file.
struct ReferenceLoss {
  Token token;
  double nll;
  Token argmax;
};
std::vector<ReferenceLoss> read_losses(const std::filesystem::path& path);
std::vector<Token> read_ids(const std::filesystem::path& path);

}  // namespace quant::test
