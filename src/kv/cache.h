// The KV cache: packed rows of every layer and head, and the few exact rows that a spec asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"
#include "quant/kv_spec.h"
#include "simd/fetch.h"

namespace quant {

/// Positions [begin, end).
struct PositionRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  bool empty() const noexcept { return begin >= end; }
  PositionRange clipped_to(PositionRange other) const noexcept {
    return {begin > other.begin ? begin : other.begin, end < other.end ? end : other.end};
  }
};

/// What the query at position t sees of one side of one layer; the rule of docs/kv-formats.md.
struct QueryView {
  PositionRange sink;    ///< exact
  PositionRange packed;  ///< decoded codes
  PositionRange window;  ///< exact
};
/// sliding_window: the layer's, 0 if the layer is global. Every visible position is in exactly one
/// of the three ranges, and they ascend.
QueryView query_view(const KvSide& side, int sliding_window, std::int64_t t) noexcept;

/// Which of the two a store holds: codes of keys and of values lie differently.
enum class KvRole { kKeys, kValues };

/// What the rows of some stores lie in.
using KvMemory = AlignedBuffer<std::uint8_t>;

/// Keys or values of one layer.
///
/// Packed rows are head-major, in the panels of their format and role, and, in a sliding-window
/// layer, a ring: the row of position p is at slot p mod capacity. Exact rows of earlier batches
/// live in `sink` and in a ring of `window` rows; exact rows of the running batch are the caller's
/// until commit() copies what later batches need.
class KvStore {
 public:
  /// sliding_window: the layer's, 0 if it is global. max_batch: the most tokens appended at once.
  KvStore(KvRole role, const KvSide& side, int n_heads, int head_dim, int sliding_window,
          int max_batch);
  KvStore(KvStore&&) noexcept = default;
  KvStore& operator=(KvStore&&) noexcept = default;

  KvRole role() const noexcept { return role_; }
  const KvSide& side() const noexcept { return side_; }
  int head_dim() const noexcept { return head_dim_; }
  /// Whether some rows are kept in FP32 too.
  bool has_exact_rows() const noexcept { return side_.sink > 0 || side_.window > 0; }
  /// Bytes of a packed row.
  std::size_t row_bytes() const noexcept { return row_bytes_; }
  /// Makes room for positions [0, positions) in steps; keeps all rows.
  void reserve(std::int64_t positions);
  /// The same in memory that stores share: takes bytes_for(positions) from `offset` on.
  void reserve(std::int64_t positions, std::shared_ptr<KvMemory> memory, std::size_t offset);
  /// What this store takes with room for so many positions: no less than now, whole cache lines.
  std::size_t bytes_for(std::int64_t positions) const noexcept;
  /// Encodes the row [head_dim] of a head at a position. False if the format refuses it. Rows of a
  /// panel may share bytes: one thread at a time appends to it.
  bool encode(const KvKernels& kernels, int head, std::int64_t position, const float* row) noexcept;
  /// After a batch [begin, end): keeps those of its exact rows that later queries may see.
  /// rows: [n_heads][stride] floats, a head's rows contiguous.
  void commit(std::int64_t begin, std::int64_t end, const float* rows, std::size_t stride) noexcept;

  /// What appending would overwrite: rings and exact rows. Packed rows of a store that is as long
  /// as the context stay where they are.
  struct Mark {
    AlignedBuffer<std::uint8_t> ring;
    AlignedBuffer<float> sink;
    AlignedBuffer<float> window;
  };
  Mark mark() const;
  /// Undoes all that was appended since the mark was taken.
  void rewind(const Mark& mark) noexcept;

  /// Calls visit(position, n, panels) for the contiguous runs of packed rows of a range, ascending.
  /// The first run begins at the panel that holds the range's first row, and so up to
  /// kKvPanelRows - 1 positions before it.
  template <class Visit>
  void for_packed(int head, PositionRange range, const Visit& visit) const noexcept;
  /// Where the panels of a range lie, in a ring as if it had no end; nothing behind the last head.
  MemoryPiece packed_piece(int head, PositionRange range) const noexcept;
  /// As for_packed for exact rows of earlier batches, positions in the sink or in the window.
  template <class Visit>
  void for_sink(int head, PositionRange range, const Visit& visit) const noexcept;
  template <class Visit>
  void for_window(int head, PositionRange range, const Visit& visit) const noexcept;
  /// Where share i of n of a head's window lies; nothing if that is too long to wait in a cache.
  MemoryPiece share_of_window(int head, int i, int n) const noexcept;

  /// Bytes of this store's memory now.
  std::size_t allocated_bytes() const noexcept;
  std::size_t packed_bytes() const noexcept { return packed_.size_bytes(); }
  std::int64_t capacity() const noexcept { return capacity_; }
  /// What allocated_bytes() must be once `positions` were reserved, from the format's row size
  /// alone.
  static std::size_t formula_bytes(const KvSide& side, int n_heads, int head_dim,
                                   int sliding_window, int max_batch, std::int64_t positions);

 private:
  /// Rows a head has room for, and where the parts lie in a store's memory.
  struct Parts {
    std::int64_t packed;
    std::int64_t sink;
    std::int64_t window;
    std::size_t sink_at;
    std::size_t window_at;
    std::size_t bytes;
  };
  Parts parts_for(std::int64_t positions) const noexcept;
  /// Only rings wrap: the others are spared a division at each visit.
  std::int64_t slot_of(std::int64_t position) const noexcept {
    return position < capacity_ ? position : position % capacity_;
  }

  KvRole role_;
  KvSide side_;
  int n_heads_;
  int head_dim_;
  std::size_t row_bytes_;
  int sliding_window_;
  int max_batch_;
  std::int64_t capacity_ = 0;
  std::int64_t sink_rows_ = 0;
  std::int64_t window_rows_ = 0;
  std::shared_ptr<KvMemory> memory_;
  std::span<std::uint8_t> packed_;  // [n_heads][capacity / kKvPanelRows] panels
  std::span<float> sink_;           // [n_heads][sink_rows][head_dim]
  std::span<float> window_;         // [n_heads][window_rows][head_dim], slot p mod window_rows
};

template <class Visit>
void KvStore::for_packed(int head, PositionRange range, const Visit& visit) const noexcept {
  const std::uint8_t* rows = packed_.data() + static_cast<std::size_t>(head) *
                                                  static_cast<std::size_t>(capacity_) * row_bytes_;
  if (range.empty()) return;
  for (std::int64_t p = range.begin / kKvPanelRows * kKvPanelRows; p < range.end;) {
    const std::int64_t slot = slot_of(p);
    const std::int64_t n = range.end - p < capacity_ - slot ? range.end - p : capacity_ - slot;
    visit(p, static_cast<int>(n), rows + static_cast<std::size_t>(slot) * row_bytes_);
    p += n;
  }
}

template <class Visit>
void KvStore::for_sink(int head, PositionRange range, const Visit& visit) const noexcept {
  if (range.empty()) return;
  const std::int64_t row = static_cast<std::int64_t>(head) * sink_rows_ + range.begin;
  visit(range.begin, static_cast<int>(range.end - range.begin), sink_.data() + row * head_dim_);
}

template <class Visit>
void KvStore::for_window(int head, PositionRange range, const Visit& visit) const noexcept {
  for (std::int64_t p = range.begin; p < range.end;) {
    const std::int64_t slot = p % window_rows_;
    const std::int64_t left = window_rows_ - slot;
    const std::int64_t n = range.end - p < left ? range.end - p : left;
    const std::int64_t row = static_cast<std::int64_t>(head) * window_rows_ + slot;
    visit(p, static_cast<int>(n), window_.data() + row * head_dim_);
    p += n;
  }
}

/// Both sides of every layer.
class KvCache {
 public:
  /// max_batch: the most tokens appended at once.
  KvCache(const ModelConfig& config, const KvSpec& spec, int max_batch);

  KvStore& keys(int layer) noexcept { return keys_[static_cast<std::size_t>(layer)]; }
  KvStore& values(int layer) noexcept { return values_[static_cast<std::size_t>(layer)]; }
  const KvStore& keys(int layer) const noexcept { return keys_[static_cast<std::size_t>(layer)]; }
  const KvStore& values(int layer) const noexcept {
    return values_[static_cast<std::size_t>(layer)];
  }
  void reserve(std::int64_t positions);

  struct Mark {
    std::vector<KvStore::Mark> keys;
    std::vector<KvStore::Mark> values;
  };
  Mark mark() const;
  void rewind(const Mark& mark) noexcept;

  std::size_t allocated_bytes() const noexcept;
  static std::size_t formula_bytes(const ModelConfig& config, const KvSpec& spec, int max_batch,
                                   std::int64_t positions);

 private:
  std::vector<KvStore> keys_;
  std::vector<KvStore> values_;
};

}  // namespace quant
