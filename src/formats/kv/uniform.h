// uniform_2b, _3b, _4b: blocks of 32 values, the last one of 16 where d is an odd multiple of 16;
// each is an fp16 step, an fp16 minimum and codes. A code stands for the centre of its bin.
#pragma once

#include "formats/kv/kv_format.h"
#include "formats/kv/row.h"
#include "formats/kv/tile.h"
#include "quant/kv_spec.h"

namespace quant {

/// Code n stands for n + 1/2 steps above the minimum; the table repeats itself for lookup_codes.
template <int Bits>
struct KvUniformCentres {
  float centre[16];
};
template <int Bits>
static constexpr KvUniformCentres<Bits> make_kv_uniform_centres() {
  KvUniformCentres<Bits> centres{};
  for (int i = 0; i < 16; ++i) centres.centre[i] = static_cast<float>(i % (1 << Bits)) + 0.5f;
  return centres;
}

template <class S, int Bits>
struct KvUniform {
  using F = typename S::F32x16;
  static constexpr int kBlock = 32;
  static constexpr int kHeader = 4;
  static constexpr int kBlockBytes = kHeader + kBlock * Bits / 8;
  static constexpr int kLevels = 1 << Bits;
  static constexpr auto kCentres = make_kv_uniform_centres<Bits>();
  static constexpr bool supports(int d) { return is_kv_head_dim(d); }
  static constexpr size_t row_bytes(int d) {
    return static_cast<size_t>((d + kBlock - 1) / kBlock * kHeader + d * Bits / 8);
  }

  static bool encode(const float* row, int d, uint8_t* out) {
    return KvRow<S>::template encode_blocks<KvUniform>(row, d, out);
  }
  static F values16(const uint8_t* row, int, int j) {
    const uint8_t* block = row + j / kBlock * kBlockBytes;
    return S::template lookup_codes<Bits>(levels(block), block + kHeader + j % kBlock * Bits / 8);
  }
  static void split32(const uint8_t* row, int j, F& even, F& odd) requires(Bits == 4) {
    const uint8_t* block = row + j / kBlock * kBlockBytes;
    S::lookup_split(levels(block), block + kHeader, even, odd);
  }

  static constexpr bool kInt8Signed = false;
  static constexpr bool kInt8Minimum = true;
  static constexpr float kInt8Unit = 1.0f;
  static constexpr auto kInt8Order = make_kv_code_order < Bits == 3 ? 8 : Bits > ();
  static constexpr int int8_block(int d) { return d < kBlock ? d : kBlock; }
  static void fill_int8(const uint8_t* rows, int d, KvTile& tile) {
    using Steps = KvTileSteps<S>;
    const size_t stride = row_bytes(d);
    for (int j = 0, b = 0; j < d; j += kBlock, ++b, rows += kBlockBytes) {
      typename S::I32x16 head[4];
      Steps::load_columns(rows, stride, head);
      const F step = S::template half_of<0>(head[0]);
      const F minimum = S::template half_of<1>(head[0]);
      S::store(tile.scale[b], step);
      S::store(tile.minimum[b], S::fma(S::set1(0.5f), step, minimum));
      if constexpr (Bits == 2) {
        Steps::template expand<2>(head[1], tile.codes[j / 4]);
        Steps::template expand<2>(head[2], tile.codes[j / 4 + 4]);
      } else {
        for (int i = 0; i < kBlock * Bits / 8; i += Steps::template kPieceBytes<Bits>) {
          Steps::template fill<Bits>(rows + kHeader + i, stride,
                                     tile.codes[(j + i * 8 / Bits) / 4]);
        }
      }
    }
  }

  /// One block of n values.
  static bool encode_block(const float* x, int n, uint8_t* out) {
    F top = S::load(x);
    F bottom = top;
    for (int i = 16; i < n; i += 16) {
      top = S::max(S::load(x + i), top);
      bottom = S::min(S::load(x + i), bottom);
    }
    const float maximum = S::reduce_max(top);
    const float minimum = 0.0f - S::reduce_max(S::sub(S::zero(), bottom));
    if (!KvRow<S>::put_half(out, (maximum - minimum) / static_cast<float>(kLevels))) return false;
    if (!KvRow<S>::put_half(out + 2, minimum)) return false;
    // Codes are chosen against what the decoder will read.
    const float step = KvRow<S>::get_half(out);
    const F start = S::set1(KvRow<S>::get_half(out + 2));
    const F inverse = S::set1(step > 0.0f ? 1.0f / step : 0.0f);
    for (int i = 0; i < n; i += 16) {
      F code = S::sub(S::mul(S::sub(S::load(x + i), start), inverse), S::set1(0.5f));
      code = S::max(S::min(code, S::set1(static_cast<float>(kLevels - 1))), S::zero());
      KvRow<S>::template pack16<Bits>(S::to_int(code), out + kHeader + i * Bits / 8);
    }
    return true;
  }

 private:
  /// What each code of a block stands for. Computed before the codes are looked up, since there are
  /// fewer of these.
  static F levels(const uint8_t* block) {
    F step, minimum;
    S::load_half_pair(block, step, minimum);
    return S::fma(S::load(kCentres.centre), step, minimum);
  }
};

template <class S>
struct KvUniform2b : KvUniform<S, 2> {
  static constexpr KvType kType = KvType::kUniform2b;
  static constexpr const char* kName = "uniform_2b";
  static constexpr const char* kSummary = "blocks of 32: fp16 step and minimum, 2-bit codes";
};
template <class S>
struct KvUniform3b : KvUniform<S, 3> {
  static constexpr KvType kType = KvType::kUniform3b;
  static constexpr const char* kName = "uniform_3b";
  static constexpr const char* kSummary = "blocks of 32: fp16 step and minimum, 3-bit codes";
};
template <class S>
struct KvUniform4b : KvUniform<S, 4> {
  static constexpr KvType kType = KvType::kUniform4b;
  static constexpr const char* kName = "uniform_4b";
  static constexpr const char* kSummary = "blocks of 32: fp16 step and minimum, 4-bit codes";
};

}  // namespace quant
