#include "kv/cache.h"

#include <algorithm>
#include <cstring>

#include "base/memory_advice.h"
#include "base/to_size.h"

namespace quant {
namespace {

constexpr std::int64_t kRingGrain = kKvChunkRows;    // a chunk is one visit
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

std::size_t in_lines(std::size_t bytes) {
  return (bytes + KvMemory::kAlignment - 1) / KvMemory::kAlignment * KvMemory::kAlignment;
}

struct StoreRows {
  std::int64_t packed;
  std::int64_t sink;
  std::int64_t window;
};

/// Rows a head needs so that `positions` can be held.
StoreRows rows_for(const KvSide& side, int sliding_window, int max_batch, std::int64_t positions) {
  const std::int64_t whole = round_up(positions, kGrowthGrain);
  // A batch never comes back to the panel that it began in.
  const std::int64_t kept = std::max(sliding_window, kKvPanelRows);
  const std::int64_t ring = round_up(kept + max_batch, kRingGrain);
  return {sliding_window == 0 ? whole : std::min(whole, ring),
          std::min<std::int64_t>(side.sink, whole), std::min<std::int64_t>(side.window, whole)};
}

/// Moves every head's rows, `from` elements each, to where `to` elements a head begin. Rings only
/// grow while they are as long as the context, before they have wrapped, so slots stay what they
/// are.
template <class T>
std::span<T> moved(std::span<const T> rows, std::uint8_t* memory, int n_heads, std::size_t from,
                   std::size_t to) {
  T* grown = reinterpret_cast<T*>(memory);
  for (std::size_t head = 0; head < to_size(n_heads) && from > 0; ++head) {
    std::memcpy(grown + head * to, rows.data() + head * from, from * sizeof(T));
  }
  return {grown, to_size(n_heads) * to};
}

template <class T>
AlignedBuffer<T> copy_of(std::span<const T> rows) {
  AlignedBuffer<T> copy(rows.size());
  if (!rows.empty()) std::memcpy(copy.data(), rows.data(), rows.size_bytes());
  return copy;
}

/// Puts each head's saved rows back in front of its rows, which may have become more since.
template <class T>
void put_back(std::span<T> rows, const AlignedBuffer<T>& saved, int n_heads) {
  const std::size_t heads = to_size(n_heads);
  for (std::size_t head = 0; head < heads && !saved.empty(); ++head) {
    std::memcpy(rows.data() + head * (rows.size() / heads),
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

KvStore::KvStore(KvRole role, const KvSide& side, int n_heads, int head_dim, int sliding_window,
                 int max_batch)
    : role_(role),
      side_(effective(side, sliding_window)),
      n_heads_(n_heads),
      head_dim_(head_dim),
      row_bytes_(kv_format_info(side.type).row_bytes(head_dim)),
      sliding_window_(sliding_window),
      max_batch_(max_batch) {}

KvStore::Parts KvStore::parts_for(std::int64_t positions) const noexcept {
  const StoreRows rows = rows_for(side_, sliding_window_, max_batch_, positions);
  Parts parts{std::max(rows.packed, capacity_),
              std::max(rows.sink, sink_rows_),
              std::max(rows.window, window_rows_),
              0,
              0,
              0};
  const std::size_t heads = to_size(n_heads_);
  const std::size_t exact_row = to_size(head_dim_) * sizeof(float);
  parts.sink_at = in_lines(heads * to_size(parts.packed) * row_bytes_);
  parts.window_at = parts.sink_at + in_lines(heads * to_size(parts.sink) * exact_row);
  parts.bytes = parts.window_at + in_lines(heads * to_size(parts.window) * exact_row);
  return parts;
}

std::size_t KvStore::bytes_for(std::int64_t positions) const noexcept {
  return parts_for(positions).bytes;
}

void KvStore::reserve(std::int64_t positions) {
  const std::size_t bytes = bytes_for(positions);
  if (bytes > allocated_bytes()) reserve(positions, std::make_shared<KvMemory>(bytes), 0);
}

void KvStore::reserve(std::int64_t positions, std::shared_ptr<KvMemory> memory,
                      std::size_t offset) {
  const Parts parts = parts_for(positions);
  const std::size_t row_floats = to_size(head_dim_);
  std::uint8_t* begin = memory->data() + offset;
  packed_ = moved<std::uint8_t>(packed_, begin, n_heads_, to_size(capacity_) * row_bytes_,
                                to_size(parts.packed) * row_bytes_);
  sink_ = moved<float>(sink_, begin + parts.sink_at, n_heads_, to_size(sink_rows_) * row_floats,
                       to_size(parts.sink) * row_floats);
  window_ = moved<float>(window_, begin + parts.window_at, n_heads_,
                         to_size(window_rows_) * row_floats, to_size(parts.window) * row_floats);
  capacity_ = parts.packed;
  sink_rows_ = parts.sink;
  window_rows_ = parts.window;
  memory_ = std::move(memory);
}

bool KvStore::encode(const KvKernels& kernels, int head, std::int64_t position,
                     const float* row) noexcept {
  std::uint8_t packed[kKvMaxHeadDim * sizeof(float)];
  if (!kernels.encode(row, head_dim_, packed)) return false;
  const auto put = role_ == KvRole::kKeys ? kernels.put_key : kernels.put_value;
  put(packed, head_dim_, slot_of(position),
      packed_.data() + to_size(head) * to_size(capacity_) * row_bytes_);
  return true;
}

void KvStore::commit(std::int64_t begin, std::int64_t end, const float* rows,
                     std::size_t stride) noexcept {
  const std::size_t row_floats = to_size(head_dim_);
  const auto keep = [&](std::span<float> to, std::int64_t slots, PositionRange range) {
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
  Mark mark{{}, copy_of<float>(sink_), copy_of<float>(window_)};
  if (sliding_window_ > 0) mark.ring = copy_of<std::uint8_t>(packed_);
  return mark;
}

void KvStore::rewind(const Mark& mark) noexcept {
  put_back(packed_, mark.ring, n_heads_);
  put_back(sink_, mark.sink, n_heads_);
  put_back(window_, mark.window, n_heads_);
}

MemoryPiece KvStore::packed_piece(int head, PositionRange range) const noexcept {
  if (range.empty() || head >= n_heads_) return {};
  const std::int64_t begin = range.begin / kKvPanelRows * kKvPanelRows;
  const std::size_t first = to_size(head) * to_size(capacity_) + to_size(slot_of(begin));
  const std::size_t rows = to_size(round_up(range.end - begin, kKvPanelRows));
  return {reinterpret_cast<std::uintptr_t>(packed_.data()) + first * row_bytes_, rows * row_bytes_};
}

MemoryPiece KvStore::share_of_window(int head, int i, int n) const noexcept {
  constexpr std::size_t kMost = 128 << 10;  // what an L2 cache holds beside the chunks
  const std::size_t bytes = to_size(window_rows_ * head_dim_) * sizeof(float);
  if (bytes > kMost) return {};
  const auto rows = reinterpret_cast<std::uintptr_t>(window_.data()) + to_size(head) * bytes;
  return {rows + bytes * to_size(i) / to_size(n), (bytes + to_size(n) - 1) / to_size(n)};
}

std::size_t KvStore::allocated_bytes() const noexcept {
  return in_lines(packed_.size_bytes()) + in_lines(sink_.size_bytes()) +
         in_lines(window_.size_bytes());
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
    keys_.emplace_back(KvRole::kKeys, spec.key, config.n_kv_heads, config.key_dim,
                       layer.sliding_window, max_batch);
    values_.emplace_back(KvRole::kValues, spec.value, config.n_kv_heads, config.value_dim,
                         layer.sliding_window, max_batch);
  }
}

/// Stores of some layers share a piece of memory, so that large pages can hold them. They are the
/// same ones each time: growing needs only one piece twice.
void KvCache::reserve(std::int64_t positions) {
  constexpr std::size_t kStoresAPiece = 16;
  std::vector<KvStore*> stores;
  for (std::size_t layer = 0; layer < keys_.size(); ++layer) {
    stores.push_back(&keys_[layer]);
    stores.push_back(&values_[layer]);
  }
  for (std::size_t first = 0; first < stores.size(); first += kStoresAPiece) {
    const std::span piece =
        std::span(stores).subspan(first, std::min(kStoresAPiece, stores.size() - first));
    std::size_t now = 0;
    std::size_t bytes = 0;
    for (const KvStore* store : piece) {
      now += store->allocated_bytes();
      bytes += store->bytes_for(positions);
    }
    if (bytes == now) continue;
    const auto memory = std::make_shared<KvMemory>(in_huge_pages<std::uint8_t>(bytes));
    std::size_t offset = 0;
    for (KvStore* store : piece) {
      const std::size_t taken = store->bytes_for(positions);
      store->reserve(positions, memory, offset);
      offset += taken;
    }
  }
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
