// Greedy merging of neighbouring symbols, the core of byte-pair encoding and of SentencePiece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

#include "quant/tokenizer.h"

namespace quant {

/// A stretch of text that may become a token. Symbols of one text form a doubly linked list.
struct Symbol {
  std::uint32_t begin;
  std::uint32_t size;  ///< bytes; 0 once merged into its left neighbour
  std::int32_t prev;   ///< -1 at the ends
  std::int32_t next;
  Token token;  ///< kNoToken if the stretch is not a token
};

/// What two neighbours would become.
struct Merge {
  double cost;  ///< the cheapest merge comes first, the leftmost of equally cheap ones
  Token token;
};

/// Appends a symbol at the end of the list.
inline void append_symbol(std::vector<Symbol>& symbols, std::size_t begin, std::size_t size,
                          Token token) {
  const auto index = static_cast<std::int32_t>(symbols.size());
  if (index > 0) symbols.back().next = index;
  symbols.push_back(
      {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(size), index - 1, -1, token});
}

/// Merges until no pair can be merged. find_merge(left, right) returns std::optional<Merge> for
/// two neighbouring symbols. O(n log n) calls and comparisons.
template <class FindMerge>
void merge_symbols(std::vector<Symbol>& symbols, const FindMerge& find_merge) {
  struct Candidate {
    double cost;
    std::int32_t left;
    std::int32_t right;
    std::uint32_t size;
    Token token;
    bool operator<(const Candidate& other) const noexcept {
      return cost > other.cost || (cost == other.cost && left > other.left);
    }
  };
  const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  const auto candidate = [&](std::int32_t left, std::int32_t right) -> std::optional<Candidate> {
    if (left < 0 || right < 0) return std::nullopt;
    const std::optional<Merge> merge = find_merge(at(left), at(right));
    if (!merge) return std::nullopt;
    return Candidate{merge->cost, left, right, at(left).size + at(right).size, merge->token};
  };

  std::vector<Candidate> initial;
  for (std::int32_t i = 1; i < static_cast<std::int32_t>(symbols.size()); ++i) {
    if (const auto c = candidate(i - 1, i)) initial.push_back(*c);
  }
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(initial));
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    Symbol& left = at(c.left);
    Symbol& right = at(c.right);
    // One of the two has been merged with another neighbour meanwhile.
    if (left.size == 0 || right.size == 0 || left.size + right.size != c.size) continue;
    left.size = c.size;
    left.token = c.token;
    left.next = right.next;
    right.size = 0;
    if (right.next >= 0) at(right.next).prev = c.left;
    if (const auto before = candidate(left.prev, c.left)) queue.push(*before);
    if (const auto after = candidate(c.left, left.next)) queue.push(*after);
  }
}

}  // namespace quant
