// Where the exact rows are that queries of the running batch see.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kv/cache.h"

namespace quant {

/// Calls visit(position, n, rows) for the exact rows of a store at positions of a sink and of a
/// window: rows of earlier batches from the store, those of the batch that begins at batch_begin
/// from `fresh` [batch][head_dim]. Both ranges must be seen by some query of the batch.
template <class Visit>
void for_exact(const KvStore& store, int head, PositionRange sink, PositionRange window,
               std::int64_t batch_begin, const float* fresh, const Visit& visit) {
  const auto before = [&](PositionRange range) {
    return PositionRange{range.begin, std::min(range.end, batch_begin)};
  };
  const auto visit_fresh = [&](PositionRange range) {
    const PositionRange since{std::max(range.begin, batch_begin), range.end};
    if (since.empty()) return;
    visit(since.begin, static_cast<int>(since.end - since.begin),
          fresh + (since.begin - batch_begin) * store.head_dim());
  };
  store.for_sink(head, before(sink), visit);
  visit_fresh(sink);
  store.for_window(head, before(window), visit);
  visit_fresh(window);
}

}  // namespace quant
