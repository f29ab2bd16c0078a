// A text without meaning.
#pragma once

#include <cstdint>
#include <vector>

#include "base/splitmix64.h"
#include "quant/tokenizer.h"

namespace quant::test {

/// n tokens of [0, vocab); 288 is the vocabulary of tiny models.
inline std::vector<Token> random_tokens(int n, std::uint64_t seed, int vocab = 288) {
  SplitMix64 random(seed);
  std::vector<Token> tokens;
  for (int i = 0; i < n; ++i) {
    tokens.push_back(static_cast<Token>(random.below(static_cast<std::uint64_t>(vocab))));
  }
  return tokens;
}

}  // namespace quant::test
