// Products of packed codes with the int8 codes of a single input: what decoding a token is made of.
#pragma once

#include "base/inline.h"
#include "formats/weight/code_tile.h"

namespace quant {

/// Codes go from a packed block to the sums in registers, since they are used only once. The same
/// bits as Int8Product.
template <class S, class Format>
class Int8SingleProduct {
 public:
  static void product(const std::byte* panel, int64_t cols, const Int8Inputs& x, float* out) {
    const auto* packed = reinterpret_cast<const uint8_t*>(panel);
    F acc = S::zero();
    for (int64_t begin = 0; begin < cols; begin += kTileColumns) {
      const int n = tile_columns(cols, begin);
      for (int b = 0; b < Panel::blocks_of(n); ++b) {
        BlockSums sums(x, begin + b * kValues, packed + b * kBlockBytes + S::kFetchAhead);
        Format::unpack(packed, n, b, sums);
        acc = sums.added_to(acc);
      }
      packed += Format::tile_bytes(n);
    }
    S::store(out, acc);
  }

 private:
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  using Panel = CodePanel<S, Format>;
  static constexpr int kValues = Format::kValues;
  static constexpr int kSub = Format::kSubBlock;
  static constexpr int kSubs = kValues / kSub;
  static constexpr int kMost = Format::kMostCode;
  static constexpr int kRun = S::template kDotRun<kMost>;
  static constexpr size_t kBlockBytes = static_cast<size_t>(Format::kBytes) * kPanelRows;

  /// What a block of sixteen rows adds to their sums.
  struct BlockSums {
    const int8_t* q;
    const float* x_scale;
    const int32_t* x_sum;
    const float* x_scaled_sum;
    const uint8_t* ahead;
    F scales[kSubs];
    F minimums[kSubs];
    I sums[kSubs];
    I running[kSubs];
    int words[kSubs];  // of codes in the running sum

    QUANT_INLINE BlockSums(const Int8Inputs& x, int64_t column, const uint8_t* ahead_of_block)
        : q(x.q + column),
          x_scale(x.scale + column / kInt8Block),
          x_sum(x.sum + column / kInt8Block * kInt8Sums),
          x_scaled_sum(x.scaled_sum + column / kInt8Block * kInt8Sums),
          ahead(ahead_of_block) {
#pragma GCC unroll 16
      for (int k = 0; k < kSubs; ++k) {
        sums[k] = Panel::sum_start(x_sum[sum_of(k)]);
        running[k] = S::template dot_open<kMost>(sums[k]);
        words[k] = 0;
      }
    }
    QUANT_INLINE void scale(int k, F v) { scales[k] = v; }
    QUANT_INLINE void minimum(int k, F v) { minimums[k] = v; }
    QUANT_INLINE void codes(int i, I v) {
      prefetch(i);
      const int k = 4 * i / kSub;
      if (words[k] == kRun) {
        sums[k] = S::template dot_close<kMost>(sums[k], running[k]);
        running[k] = S::template dot_open<kMost>(sums[k]);
        words[k] = 0;
      }
      ++words[k];
      running[k] =
          S::template dot4<kMost>(running[k], S::template dot_weights<kMost>(v), q + 4 * i);
    }
    QUANT_INLINE F added_to(F acc) const {
#pragma GCC unroll 16
      for (int k = 0; k < kSubs; ++k) {
        const I sum = S::template dot_close<kMost>(sums[k], running[k]);
        acc = S::fma(S::mul(S::to_float(sum), scales[k]), S::set1(x_scale[k * kSub / kInt8Block]),
                     acc);
        if constexpr (Format::kHasMinimum) {
          acc = S::fma(minimums[k], S::set1(x_scaled_sum[sum_of(k)]), acc);
        }
      }
      return acc;
    }

   private:
    /// Where the sum of the inputs of sub-block k is.
    static constexpr int sum_of(int k) {
      return k * kSub / kInt8Block * kInt8Sums + int8_sum_of(kSub, k);
    }
    /// Asks for as much of what follows as the block is long, in small steps: loads of this block
    /// wait behind a long run of prefetches.
    QUANT_INLINE void prefetch(int i) const {
      constexpr int kLines = (kBlockBytes + 63) / 64;
      constexpr int kSteps = kValues / 4;
#pragma GCC unroll 4
      for (int line = i * kLines / kSteps; line < (i + 1) * kLines / kSteps; ++line) {
        __builtin_prefetch(ahead + 64 * line, 0, 2);
      }
    }
  };
};

}  // namespace quant
