// KvStore: what was put in comes out at the right position, through rings, growth and batches.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kv/cache.h"
#include "support/through_codes.h"

namespace quant::test {
namespace {

constexpr int kHeads = 3;
constexpr int kDim = 16;

const KvKernels& kernels_of(KvType type) { return kv_kernels(kernels_for(Isa::kScalar), type); }

/// A row that says where it belongs; bf16 and fp16 hold its numbers exactly.
std::vector<float> row_of(int head, std::int64_t position, float base = 0.0f) {
  std::vector<float> row(kDim, base);
  row[0] = static_cast<float>(head);
  row[1] = static_cast<float>(position % 128);
  row[2] = static_cast<float>(position / 128);
  return row;
}

/// A store that is fed like a session feeds it.
class Feeder {
 public:
  Feeder(const KvSide& side, int sliding_window, int max_batch, KvRole role = KvRole::kValues)
      : store(role, side, kHeads, kDim, sliding_window, max_batch), max_batch_(max_batch) {}

  void append(std::int64_t n) {
    const std::int64_t end = position + n;
    store.reserve(end);
    std::vector<float> rows(static_cast<std::size_t>(kHeads * max_batch_ * kDim));
    for (int head = 0; head < kHeads; ++head) {
      for (std::int64_t p = position; p < end; ++p) {
        const std::vector<float> row = row_of(head, p);
        EXPECT_TRUE(store.encode(kernels_of(store.side().type), head, p, row.data()));
        std::memcpy(rows.data() + (head * max_batch_ + p - position) * kDim, row.data(),
                    kDim * sizeof(float));
      }
    }
    store.commit(position, end, rows.data(), static_cast<std::size_t>(max_batch_ * kDim));
    position = end;
  }
  void append_all(std::int64_t total, std::int64_t batch) {
    while (position < total) append(std::min(batch, total - position));
  }

  KvStore store;
  std::int64_t position = 0;

 private:
  int max_batch_;
};

/// Expects that the visits of a range come in ascending order, cover it, and find their rows.
template <class For, class Decode, class Expected>
void expect_rows(const For& for_range, PositionRange range, int head, const Decode& decode,
                 const Expected& expected) {
  std::int64_t next = range.begin;
  for_range(head, range, [&](std::int64_t p, int n, const auto* rows) {
    EXPECT_EQ(p, next);
    for (int i = 0; i < n; ++i) {
      ASSERT_EQ(decode(rows, i), expected(head, p + i))
          << "head " << head << ", position " << p + i;
    }
    next = p + n;
  });
  EXPECT_EQ(next, range.end);
}

void expect_packed(const KvStore& store, PositionRange range, float base = 0.0f) {
  const KvKernels& kernels = kernels_of(store.side().type);
  const auto take = store.role() == KvRole::kKeys ? kernels.take_key : kernels.take_value;
  const std::size_t row_bytes = kv_format_info(store.side().type).row_bytes(kDim);
  // Visits begin at a panel.
  range.begin = range.begin / kKvPanelRows * kKvPanelRows;
  for (int head = 0; head < kHeads; ++head) {
    expect_rows([&](int h, PositionRange r, const auto& visit) { store.for_packed(h, r, visit); },
                range, head,
                [&](const std::uint8_t* panels, int i) {
                  std::vector<std::uint8_t> packed(row_bytes);
                  std::vector<float> row(kDim);
                  take(panels, kDim, i, packed.data());
                  kernels.decode(packed.data(), kDim, row.data());
                  return row;
                },
                [&](int h, std::int64_t p) {
                  return through_codes(store.side().type, row_of(h, p, base));
                });
  }
}

std::vector<float> exact_row(const float* rows, int i) {
  return {rows + i * kDim, rows + (i + 1) * kDim};
}

void expect_window(const KvStore& store, PositionRange range, float base = 0.0f) {
  for (int head = 0; head < kHeads; ++head) {
    expect_rows([&](int h, PositionRange r, const auto& visit) { store.for_window(h, r, visit); },
                range, head, exact_row, [&](int h, std::int64_t p) { return row_of(h, p, base); });
  }
}

void expect_sink(const KvStore& store, PositionRange range, float base = 0.0f) {
  for (int head = 0; head < kHeads; ++head) {
    expect_rows([&](int h, PositionRange r, const auto& visit) { store.for_sink(h, r, visit); },
                range, head, exact_row, [&](int h, std::int64_t p) { return row_of(h, p, base); });
  }
}

TEST(KvStore, GrowthInStepsKeepsAllRows) {
  for (const KvFormatInfo& format : kv_formats()) {
    for (const KvRole role : {KvRole::kKeys, KvRole::kValues}) {
      Feeder feeder({format.type, 0, 0}, 0, 64, role);
      for (const std::int64_t n : {1, 15, 1, 40, 64, 64, 3}) {
        feeder.append(n);
        expect_packed(feeder.store, {0, feeder.position});
      }
      EXPECT_GE(feeder.store.capacity(), feeder.position);
    }
  }
}

TEST(KvStore, WindowAndSinkHoldExactRowsWhateverTheBatch) {
  for (const int batch : {1, 7, 64}) {
    for (const int window : {1, 5, 16, 100}) {
      for (const int sink : {0, 1, 9}) {
        Feeder feeder({KvType::kFp16, window, sink}, 0, batch);
        while (feeder.position < 200) {
          feeder.append(std::min<std::int64_t>(batch, 200 - feeder.position));
          const std::int64_t end = feeder.position;
          expect_window(feeder.store, {std::max<std::int64_t>(0, end - window), end});
          expect_sink(feeder.store, {0, std::min<std::int64_t>(sink, end)});
          expect_packed(feeder.store, {0, end});
        }
      }
    }
  }
}

TEST(KvStore, SlidingLayersKeepARing) {
  constexpr int kWindow = 100;
  for (const KvFormatInfo& format : kv_formats()) {
    for (const KvRole role : {KvRole::kKeys, KvRole::kValues}) {
      for (const int batch : {64, 45}) {
        Feeder feeder({format.type, 16, 4}, kWindow, batch, role);
        while (feeder.position < 600) {
          // What the first query of the batch sees must survive the batch's own rows.
          const std::int64_t seen = std::max<std::int64_t>(0, feeder.position - kWindow + 1);
          feeder.append(batch);
          expect_packed(feeder.store, {seen, feeder.position});
          if (format.type != KvType::kFp32) {
            expect_window(feeder.store, {feeder.position - 16, feeder.position});
          }
        }
        EXPECT_EQ(feeder.store.capacity(), 256);
      }
    }
  }
}

/// Rows of a panel share bytes, and threads append different panels of a batch.
TEST(KvStore, NoBatchMeetsAPanelOfARingTwice) {
  for (const int window : {1, 5, 16, 31, 32, 100}) {
    for (const int batch : {1, 100, 224, 225, 240, 251, 255, 256, 512}) {
      KvStore store(KvRole::kValues, {KvType::kTurboKv4b, 0, 0}, kHeads, kDim, window, batch);
      store.reserve(100'000);
      EXPECT_GE(store.capacity(), batch + kKvPanelRows - 1) << window << ", " << batch;
      EXPECT_EQ(store.capacity() % kKvPanelRows, 0);
    }
  }
}

/// A model's stores share memory, which grows with all of them.
TEST(KvCache, GrowthKeepsTheRowsOfEveryLayer) {
  constexpr int kLayers = 21;  // pieces of memory are not as many stores each
  ModelConfig config;
  config.n_layers = kLayers;
  config.n_kv_heads = kHeads;
  config.key_dim = config.value_dim = kDim;
  config.layers.resize(kLayers);
  for (const std::size_t sliding : {2, 9}) config.layers[sliding].sliding_window = 100;
  const KvSpec spec{{KvType::kFp16, 5, 3}, {KvType::kTurboKv4b, 40, 0}};
  KvCache cache(config, spec, 1);
  EXPECT_EQ(cache.keys(0).role(), KvRole::kKeys);
  EXPECT_EQ(cache.values(0).role(), KvRole::kValues);
  std::int64_t position = 0;
  const auto for_stores = [&](const auto& visit) {
    for (int layer = 0; layer < kLayers; ++layer) {
      const bool sliding = config.layers[static_cast<std::size_t>(layer)].sliding_window > 0;
      visit(cache.keys(layer), static_cast<float>(2 * layer), sliding);
      visit(cache.values(layer), static_cast<float>(2 * layer + 1), sliding);
    }
  };
  const auto append = [&](KvStore& store, float base, bool) {
    std::vector<float> rows(kHeads * kDim);
    for (int head = 0; head < kHeads; ++head) {
      const std::vector<float> row = row_of(head, position, base);
      std::ranges::copy(row, rows.begin() + head * kDim);
      ASSERT_TRUE(store.encode(kernels_of(store.side().type), head, position, row.data()));
    }
    store.commit(position, position + 1, rows.data(), kDim);
  };
  const auto check = [&](KvStore& store, float base, bool sliding) {
    const std::int64_t first = sliding ? std::max<std::int64_t>(0, position - 100) : 0;
    expect_packed(store, {first, position}, base);
    expect_window(store, {std::max<std::int64_t>(0, position - store.side().window), position},
                  base);
    expect_sink(store, {0, std::min<std::int64_t>(position, store.side().sink)}, base);
  };
  for (const std::int64_t end : {1, 40, 300, 700, 20'000}) {
    cache.reserve(end);
    for_stores(check);
    for (; position < std::min<std::int64_t>(end, 700); ++position) for_stores(append);
    for_stores(check);
    EXPECT_EQ(cache.allocated_bytes(), KvCache::formula_bytes(config, spec, 1, end));
    const std::uint8_t* rows = nullptr;
    cache.keys(0).for_packed(0, {0, 1}, [&](auto, auto, const std::uint8_t* p) { rows = p; });
    cache.reserve(1);  // no step back, and no move
    cache.keys(0).for_packed(0, {0, 1},
                             [&](auto, auto, const std::uint8_t* p) { EXPECT_EQ(p, rows); });
    EXPECT_EQ(cache.allocated_bytes(), KvCache::formula_bytes(config, spec, 1, end));
  }
}

TEST(KvStore, APieceIsThePanelsOfItsRows) {
  for (const int sliding_window : {0, 300}) {
    Feeder feeder({KvType::kFp16, 0, 0}, sliding_window, 8);
    feeder.append_all(1000, 8);
    const std::size_t row = feeder.store.row_bytes();
    for (const PositionRange range : {PositionRange{768, 1000}, {800, 832}, {805, 806}}) {
      for (int head = 0; head < kHeads; ++head) {
        const MemoryPiece piece = feeder.store.packed_piece(head, range);
        feeder.store.for_packed(head, range, [&](std::int64_t p, int n, const std::uint8_t* rows) {
          EXPECT_EQ(piece.from, reinterpret_cast<std::uintptr_t>(rows));
          EXPECT_EQ(piece.bytes % (kKvPanelRows * row), 0u);
          EXPECT_GE(piece.bytes, static_cast<std::size_t>(n) * row);
          EXPECT_LT(piece.bytes, static_cast<std::size_t>(n + kKvPanelRows) * row);
          EXPECT_EQ(p, range.begin / kKvPanelRows * kKvPanelRows);
        });
      }
    }
    EXPECT_EQ(feeder.store.packed_piece(kHeads, {800, 900}).bytes, 0u);
    EXPECT_EQ(feeder.store.packed_piece(0, {900, 900}).bytes, 0u);
  }
}

TEST(KvStore, SharesOfAWindowAreItsRows) {
  constexpr std::size_t kRow = kDim * sizeof(float);
  for (const int window : {1, 100, 256, 2048, 2049}) {
    Feeder feeder({KvType::kFp16, window, 0}, 0, 8);
    feeder.append_all(2400, 8);
    for (const int n : {1, 3, 16}) {
      for (int head = 0; head < kHeads; ++head) {
        std::uintptr_t first = UINTPTR_MAX;
        std::uintptr_t last = 0;
        feeder.store.for_window(
            head, {2400 - window, 2400}, [&](std::int64_t, int count, const float* rows) {
              const auto begin = reinterpret_cast<std::uintptr_t>(rows);
              first = std::min(first, begin);
              last = std::max(last, begin + static_cast<std::size_t>(count) * kRow);
            });
        std::uintptr_t next = first;
        for (int i = 0; i < n; ++i) {
          const MemoryPiece share = feeder.store.share_of_window(head, i, n);
          if (window > 2048) {  // 128 KiB
            EXPECT_EQ(share.bytes, 0u);
            continue;
          }
          const std::size_t bytes = static_cast<std::size_t>(window) * kRow;
          EXPECT_LE(share.from, next);
          EXPECT_LE(share.bytes, bytes / static_cast<std::size_t>(n) + 1);
          next = share.from + share.bytes;
        }
        EXPECT_EQ(next, window > 2048 ? first : last);
      }
    }
  }
}

TEST(KvStore, Fp32NeedsNoSecondCopy) {
  KvStore plain(KvRole::kKeys, {KvType::kFp32, 0, 0}, kHeads, kDim, 0, 8);
  KvStore windowed(KvRole::kKeys, {KvType::kFp32, 64, 4}, kHeads, kDim, 0, 8);
  plain.reserve(128);
  windowed.reserve(128);
  EXPECT_EQ(plain.allocated_bytes(), std::size_t{kHeads * kDim * 128 * sizeof(float)});
  EXPECT_EQ(windowed.allocated_bytes(), plain.allocated_bytes());
}

TEST(KvStore, WindowsAreNoLongerThanTheContext) {
  KvStore store(KvRole::kKeys, {KvType::kTurboKv4b, 1 << 30, 1 << 30}, kHeads, kDim, 0, 8);
  store.reserve(kKvPanelRows);
  EXPECT_LE(store.allocated_bytes(), std::size_t{kHeads * kDim * kKvPanelRows * 3 * sizeof(float)});
}

TEST(KvStore, RefusesWhatIsNotFinite) {
  for (const KvFormatInfo& format : kv_formats()) {
    KvStore store(KvRole::kKeys, {format.type, 0, 0}, kHeads, kDim, 0, 8);
    store.reserve(16);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      std::vector<float> row = row_of(1, 3);
      row[kDim - 1] = bad;
      EXPECT_FALSE(store.encode(kernels_of(format.type), 1, 3, row.data())) << format.name;
    }
    EXPECT_TRUE(store.encode(kernels_of(format.type), 1, 3, row_of(1, 3).data())) << format.name;
  }
}

TEST(KvStore, RewindBringsBackWhatAppendingOverwrote) {
  for (const KvType type : {KvType::kFp16, KvType::kTurboKv3b}) {
    for (const int sliding : {0, 40}) {
      Feeder feeder({type, 16, 4}, sliding, 64);
      feeder.append_all(300, 64);
      const KvStore::Mark mark = feeder.store.mark();
      feeder.append_all(900, 64);
      feeder.store.rewind(mark);
      expect_packed(feeder.store, {sliding > 0 ? 260 : 0, 300});
      expect_window(feeder.store, {284, 300});
      expect_sink(feeder.store, {0, 4});
    }
  }
}

TEST(KvStore, AllocatedBytesAreTheFormula) {
  for (const KvFormatInfo& format : kv_formats()) {
    for (const int window : {0, 128}) {
      for (const int sink : {0, 4}) {
        for (const int sliding : {0, 512}) {
          for (const std::int64_t positions : {100, 1000, 8192}) {
            const KvSide side{format.type, window, sink};
            KvStore store(KvRole::kKeys, side, kHeads, 64, sliding, 128);
            store.reserve(positions);
            const auto formula = static_cast<double>(
                KvStore::formula_bytes(side, kHeads, 64, sliding, 128, positions));
            EXPECT_NEAR(static_cast<double>(store.allocated_bytes()) / formula, 1.0, 0.02)
                << format.name << " W " << window << " S " << sink << " n " << sliding << ", "
                << positions << " positions";
          }
        }
      }
    }
  }
}

/// The formula itself, from the row sizes of docs/kv-formats.md.
TEST(KvStore, FormulaIsRowsTimesBytes) {
  EXPECT_EQ(KvStore::formula_bytes({KvType::kTurboKv4b, 0, 0}, 2, 64, 0, 512, 4096),
            2u * 4096 * 34);
  EXPECT_EQ(KvStore::formula_bytes({KvType::kTurboKv4b, 128, 4}, 2, 64, 0, 512, 4096),
            2u * (4096 * 34 + 132 * 64 * 4));
  EXPECT_EQ(KvStore::formula_bytes({KvType::kFp16, 0, 0}, 2, 128, 0, 512, 4096), 2u * 4096 * 256);
  // A ring of window plus batch, whatever the context.
  EXPECT_EQ(KvStore::formula_bytes({KvType::kFp16, 0, 0}, 2, 128, 512, 512, 100000),
            2u * 1024 * 256);
}

}  // namespace
}  // namespace quant::test
