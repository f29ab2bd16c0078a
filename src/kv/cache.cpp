#include "kv/cache.h"

#include <algorithm>
#include <cstring>

#include "base/to_size.h"

namespace quant {
namespace {

constexpr std::int64_t kRingGrain = 256;
constexpr std::int64_t kGrowthGrain = kKvPanelRows;  // divides kRingGrain

std::int64_t round_up(std::int64_t n, std::int64_t grain) {
  return (n + grain - 1) / grain * grain;
}

/// What a side comes to in a layer: FP32 codes are exact already, so a window or a sink beside them
/// would only be a second copy, and no query looks further back than a sliding window.
KvSide effective(const KvSide& side, int sliding_window) {
  if (side.type == KvType::kFp32) return {side.type, 0, 0};
  if (sliding_window == 0) return side;
  return {side.type, std::min(side.window, sliding_window), side.sink};
}

struct StoreRows {
  std::int64_t packed;
  std::int64_t sink;
  std::int64_t window;
};

/// Rows a head needs so that `positions` can be held.
StoreRows rows_for(const KvSide& side, int sliding_window, int max_batch, std::int64_t positions) {
  const std::int64_t whole = round_up(positions, kGrowthGrain);
  const std::int64_t ring =
      round_up(static_cast<std::int64_t>(sliding_window) + max_batch, kRingGrain);
  return {sliding_window == 0 ? whole : std::min(whole, ring),
          std::min<std::int64_t>(side.sink, whole), std::min<std::int64_t>(side.window, whole)};
}

/// Moves every head's rows into a larger buffer. Rings only grow while they are as long as the
/// context, before they have wrapped, so slots stay what they are.
template <class T>
void grow(AlignedBuffer<T>& buffer, int n_heads, std::size_t from, std::size_t to) {
  if (from == to) return;
  AlignedBuffer<T> grown(to_size(n_heads) * to);
  for (std::size_t head = 0; head < to_size(n_heads) && from > 0; ++head) {
    std::memcpy(grown.data() + head * to, buffer.data() + head * from, from * sizeof(T));
  }
  buffer = std::move(grown);
}

template <class T>
AlignedBuffer<T> copy_of(const AlignedBuffer<T>& buffer) {
  AlignedBuffer<T> copy(buffer.size());
  if (!buffer.empty()) std::memcpy(copy.data(), buffer.data(), buffer.size() * sizeof(T));
  return copy;
}

/// Puts each head's saved rows back in front of its rows, which may have become more since.
template <class T>
void put_back(AlignedBuffer<T>& buffer, const AlignedBuffer<T>& saved, int n_heads) {
  const std::size_t heads = to_size(n_heads);
  for (std::size_t head = 0; head < heads && !saved.empty(); ++head) {
    std::memcpy(buffer.data() + head * (buffer.size() / heads),
                saved.data() + head * (saved.size() / heads), saved.size() / heads * sizeof(T));
  }
}

}  // namespace

QueryView query_view(const KvSide& side, int sliding_window, std::int64_t t) noexcept {
  const KvSide rule = effective(side, sliding_window);
  const std::int64_t end = t + 1;
  const std::int64_t first =
      sliding_window > 0 ? std::max<std::int64_t>(0, end - sliding_window) : 0;
  const std::int64_t sink_end = std::clamp<std::int64_t>(rule.sink, first, end);
  const std::int64_t window_begin = std::clamp<std::int64_t>(end - rule.window, sink_end, end);
  return {{first, sink_end}, {sink_end, window_begin}, {window_begin, end}};
}

KvStore::KvStore(const KvSide& side, int n_heads, int head_dim, int sliding_window, int max_batch)
    : side_(effective(side, sliding_window)),
      n_heads_(n_heads),
      head_dim_(head_dim),
      row_bytes_(kv_format_info(side.type).row_bytes(head_dim)),
      sliding_window_(sliding_window),
      max_batch_(max_batch) {}

void KvStore::reserve(std::int64_t positions) {
  const StoreRows rows = rows_for(side_, sliding_window_, max_batch_, positions);
  if (rows.packed <= capacity_ && rows.sink <= sink_rows_ && rows.window <= window_rows_) return;
  const std::size_t row_floats = to_size(head_dim_);
  grow(packed_, n_heads_, to_size(capacity_) * row_bytes_, to_size(rows.packed) * row_bytes_);
  grow(sink_, n_heads_, to_size(sink_rows_) * row_floats, to_size(rows.sink) * row_floats);
  grow(window_, n_heads_, to_size(window_rows_) * row_floats, to_size(rows.window) * row_floats);
  capacity_ = rows.packed;
  sink_rows_ = rows.sink;
  window_rows_ = rows.window;
}

bool KvStore::encode(const KvKernels& kernels, int head, std::int64_t position,
                     const float* row) noexcept {
  std::uint8_t packed[kKvMaxHeadDim * sizeof(float)];
  if (!kernels.encode(row, head_dim_, packed)) return false;
  kernels.put(packed, head_dim_, position % capacity_,
              packed_.data() + to_size(head) * to_size(capacity_) * row_bytes_);
  return true;
}

void KvStore::commit(std::int64_t begin, std::int64_t end, const float* rows,
                     std::size_t stride) noexcept {
  const std::size_t row_floats = to_size(head_dim_);
  const auto keep = [&](AlignedBuffer<float>& to, std::int64_t slots, PositionRange range) {
    for (int head = 0; head < n_heads_; ++head) {
      for (std::int64_t p = range.begin; p < range.end; ++p) {
        std::memcpy(to.data() + to_size(head * slots + p % slots) * row_floats,
                    rows + to_size(head) * stride + to_size(p - begin) * row_floats,
                    row_floats * sizeof(float));
      }
    }
  };
  keep(sink_, sink_rows_, {begin, std::min<std::int64_t>(end, side_.sink)});
  keep(window_, window_rows_, {std::max(begin, end - side_.window), end});
}

KvStore::Mark KvStore::mark() const {
  Mark mark{{}, copy_of(sink_), copy_of(window_)};
  if (sliding_window_ > 0) mark.ring = copy_of(packed_);
  return mark;
}

void KvStore::rewind(const Mark& mark) noexcept {
  put_back(packed_, mark.ring, n_heads_);
  put_back(sink_, mark.sink, n_heads_);
  put_back(window_, mark.window, n_heads_);
}

std::size_t KvStore::allocated_bytes() const noexcept {
  return packed_.allocated_bytes() + sink_.allocated_bytes() + window_.allocated_bytes();
}

std::size_t KvStore::formula_bytes(const KvSide& side, int n_heads, int head_dim,
                                   int sliding_window, int max_batch, std::int64_t positions) {
  const StoreRows rows =
      rows_for(effective(side, sliding_window), sliding_window, max_batch, positions);
  const std::size_t exact_row = to_size(head_dim) * sizeof(float);
  return to_size(n_heads) * (to_size(rows.packed) * kv_format_info(side.type).row_bytes(head_dim) +
                             to_size(rows.sink + rows.window) * exact_row);
}

KvCache::KvCache(const ModelConfig& config, const KvSpec& spec, int max_batch) {
  for (const LayerConfig& layer : config.layers) {
    keys_.emplace_back(spec.key, config.n_kv_heads, config.key_dim, layer.sliding_window,
                       max_batch);
    values_.emplace_back(spec.value, config.n_kv_heads, config.value_dim, layer.sliding_window,
                         max_batch);
  }
}

void KvCache::reserve(std::int64_t positions) {
  for (KvStore& store : keys_) store.reserve(positions);
  for (KvStore& store : values_) store.reserve(positions);
}

KvCache::Mark KvCache::mark() const {
  Mark mark;
  for (const KvStore& store : keys_) mark.keys.push_back(store.mark());
  for (const KvStore& store : values_) mark.values.push_back(store.mark());
  return mark;
}

void KvCache::rewind(const Mark& mark) noexcept {
  for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i].rewind(mark.keys[i]);
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i].rewind(mark.values[i]);
}

std::size_t KvCache::allocated_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const KvStore& store : keys_) bytes += store.allocated_bytes();
  for (const KvStore& store : values_) bytes += store.allocated_bytes();
  return bytes;
}

std::size_t KvCache::formula_bytes(const ModelConfig& config, const KvSpec& spec, int max_batch,
                                   std::int64_t positions) {
  std::size_t bytes = 0;
  for (const LayerConfig& layer : config.layers) {
    bytes += KvStore::formula_bytes(spec.key, config.n_kv_heads, config.key_dim,
                                    layer.sliding_window, max_batch, positions);
    bytes += KvStore::formula_bytes(spec.value, config.n_kv_heads, config.value_dim,
                                    layer.sliding_window, max_batch, positions);
  }
  return bytes;
}

}  // namespace quant
