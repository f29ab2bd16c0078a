// The vocabulary of scalar.h on aarch64's baseline Advanced SIMD: four registers a vector.
#pragma once

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "base/inline.h"

namespace quant {

struct Neon {
  struct F32x16 {
    float32x4_t part[4];
  };
  struct I32x16 {
    int32x4_t part[4];
  };
  using U8x16 = uint8x16_t;
  struct DotWeights {
    int8x16_t part[4];
  };
  static constexpr size_t kFetchAhead = 4096;
  static constexpr int kFloatRows = 6;
  static constexpr int kInt8Rows = 4;
  static constexpr int kInt8Columns = 4;
  static constexpr int kBlockRows = 3;
  static constexpr int kBlockColumns = 2;
  static constexpr int kInt8BlockRows = 4;
  static constexpr int kInt8BlockColumns = 1;
  static constexpr int kInt8FewRows = kInt8BlockRows;
  static constexpr int kInt8FewColumns = kInt8BlockColumns;
  static constexpr int kInt8SumRows = 1;
  static constexpr int kInt8SumColumns = 2;
  static constexpr bool kInt8SumWords = false;
  static constexpr int kWordRows = 4;
  static constexpr int kWordSumRows = 4;
  static constexpr int kWordSumColumns = 1;
  static constexpr int kSoftmaxRows = 2;

  // Floats.
  static QUANT_INLINE F32x16 zero() { return set1(0.0f); }
  static QUANT_INLINE F32x16 set1(float x) {
    const float32x4_t v = vdupq_n_f32(x);
    return {{v, v, v, v}};
  }
  static QUANT_INLINE F32x16 load(const float* p) {
    return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
  }
  static QUANT_INLINE void store(float* p, F32x16 v) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, v.part[i]);
  }
  static QUANT_INLINE void store_partial(float* p, F32x16 v, int n) {
    float lane[16];
    store(lane, v);
    memcpy(p, lane, static_cast<size_t>(n) * sizeof(float));
  }
  static QUANT_INLINE F32x16 load_half(const uint16_t* p) {
    F32x16 r;
    for (int i = 0; i < 4; ++i) {
      r.part[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
    }
    return r;
  }
  static QUANT_INLINE void store_half(uint16_t* p, F32x16 v) {
    for (int i = 0; i < 4; ++i) {
      vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(v.part[i])));
    }
  }
  static QUANT_INLINE F32x16 load_bfloat(const uint16_t* p) {
    F32x16 r;
    for (int i = 0; i < 4; ++i) {
      r.part[i] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16));
    }
    return r;
  }
  static QUANT_INLINE void store_bfloat(uint16_t* p, F32x16 v) {
    for (int i = 0; i < 4; ++i) {
      const uint32x4_t bits = vreinterpretq_u32_f32(v.part[i]);
      const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
      const uint32x4_t bias = vaddq_u32(odd, vdupq_n_u32(0x7fff));
      vst1_u16(p + 4 * i, vshrn_n_u32(vaddq_u32(bits, bias), 16));
    }
  }
  static QUANT_INLINE float half(uint16_t h) {
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0);
  }
  static QUANT_INLINE uint16_t to_half(float f) {
    return vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(f))), 0);
  }
  static QUANT_INLINE F32x16 add(F32x16 a, F32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vaddq_f32(a.part[i], b.part[i]);
    return a;
  }
  static QUANT_INLINE F32x16 sub(F32x16 a, F32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vsubq_f32(a.part[i], b.part[i]);
    return a;
  }
  static QUANT_INLINE F32x16 mul(F32x16 a, F32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vmulq_f32(a.part[i], b.part[i]);
    return a;
  }
  static QUANT_INLINE F32x16 div(F32x16 a, F32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vdivq_f32(a.part[i], b.part[i]);
    return a;
  }
  static QUANT_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
    for (int i = 0; i < 4; ++i) c.part[i] = vfmaq_f32(c.part[i], a.part[i], b.part[i]);
    return c;
  }
  static QUANT_INLINE F32x16 abs(F32x16 a) {
    for (float32x4_t& part : a.part) part = vabsq_f32(part);
    return a;
  }
  // Not vmaxq and vminq, which give NaN where either operand is NaN.
  static QUANT_INLINE F32x16 max(F32x16 a, F32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = greater(a.part[i], b.part[i]);
    return a;
  }
  static QUANT_INLINE F32x16 min(F32x16 a, F32x16 b) {
    for (int i = 0; i < 4; ++i) {
      a.part[i] = vbslq_f32(vcltq_f32(a.part[i], b.part[i]), a.part[i], b.part[i]);
    }
    return a;
  }
  static QUANT_INLINE F32x16 select_less(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
    for (int i = 0; i < 4; ++i) {
      x.part[i] = vbslq_f32(vcltq_f32(a.part[i], b.part[i]), x.part[i], y.part[i]);
    }
    return x;
  }
  static QUANT_INLINE float reduce_add(F32x16 v) {
    const float32x4_t four =
        vaddq_f32(vaddq_f32(v.part[0], v.part[2]), vaddq_f32(v.part[1], v.part[3]));
    return vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
  }
  static QUANT_INLINE float reduce_max(F32x16 v) {
    float32x4_t top = greater(greater(v.part[0], v.part[2]), greater(v.part[1], v.part[3]));
    top = greater(top, vextq_f32(top, top, 2));
    return vgetq_lane_f32(greater(top, vdupq_laneq_f32(top, 1)), 0);
  }
  static QUANT_INLINE void transpose(F32x16 (&r)[16]) {
    // Sixteen 4×4 blocks: each is transposed and changes places with its mirror image.
    F32x16 t[16];
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        const float32x4_t a = vtrn1q_f32(r[4 * i].part[j], r[4 * i + 1].part[j]);
        const float32x4_t b = vtrn2q_f32(r[4 * i].part[j], r[4 * i + 1].part[j]);
        const float32x4_t c = vtrn1q_f32(r[4 * i + 2].part[j], r[4 * i + 3].part[j]);
        const float32x4_t d = vtrn2q_f32(r[4 * i + 2].part[j], r[4 * i + 3].part[j]);
        t[4 * j].part[i] = low_pairs(a, c);
        t[4 * j + 1].part[i] = low_pairs(b, d);
        t[4 * j + 2].part[i] = high_pairs(a, c);
        t[4 * j + 3].part[i] = high_pairs(b, d);
      }
    }
    for (int i = 0; i < 16; ++i) r[i] = t[i];
  }
  template <int Distance>
  static QUANT_INLINE F32x16 swap_lanes(F32x16 v) {
    static_assert(Distance == 1 || Distance == 2 || Distance == 4 || Distance == 8);
    if constexpr (Distance == 8) return {{v.part[2], v.part[3], v.part[0], v.part[1]}};
    if constexpr (Distance == 4) return {{v.part[1], v.part[0], v.part[3], v.part[2]}};
    for (float32x4_t& part : v.part) {
      part = Distance == 2 ? vextq_f32(part, part, 2) : vrev64q_f32(part);
    }
    return v;
  }

  // 32-bit integers.
  static QUANT_INLINE I32x16 set1_i32(int32_t x) {
    const int32x4_t v = vdupq_n_s32(x);
    return {{v, v, v, v}};
  }
  static QUANT_INLINE I32x16 load_i32(const int32_t* p) {
    return {{vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)}};
  }
  static QUANT_INLINE void store_i32(int32_t* p, I32x16 v) {
    for (int i = 0; i < 4; ++i) vst1q_s32(p + 4 * i, v.part[i]);
  }
  static QUANT_INLINE I32x16 add_i32(I32x16 a, I32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vaddq_s32(a.part[i], b.part[i]);
    return a;
  }
  static QUANT_INLINE int32_t reduce_add_i32(I32x16 v) {
    return vaddvq_s32(vaddq_s32(vaddq_s32(v.part[0], v.part[1]), vaddq_s32(v.part[2], v.part[3])));
  }
  static QUANT_INLINE I32x16 bits(F32x16 v) {
    return {{vreinterpretq_s32_f32(v.part[0]), vreinterpretq_s32_f32(v.part[1]),
             vreinterpretq_s32_f32(v.part[2]), vreinterpretq_s32_f32(v.part[3])}};
  }
  static QUANT_INLINE F32x16 to_float(I32x16 v) {
    F32x16 r;
    for (int i = 0; i < 4; ++i) r.part[i] = vcvtq_f32_s32(v.part[i]);
    return r;
  }
  static QUANT_INLINE I32x16 to_int(F32x16 v) {
    I32x16 r;
    for (int i = 0; i < 4; ++i) r.part[i] = vcvtnq_s32_f32(v.part[i]);
    return r;
  }
  static QUANT_INLINE F32x16 scale_by_power_of_two(F32x16 v, F32x16 t) {
    for (int i = 0; i < 4; ++i) {
      const int32x4_t exponent = vshlq_n_s32(vreinterpretq_s32_f32(t.part[i]), 23);
      const int32x4_t power = vaddq_s32(exponent, vreinterpretq_s32_f32(vdupq_n_f32(1.0f)));
      v.part[i] = vmulq_f32(v.part[i], vreinterpretq_f32_s32(power));
    }
    return v;
  }
  static QUANT_INLINE I32x16 count_greater(I32x16 n, F32x16 a, F32x16 b) {
    // A true comparison is -1.
    for (int i = 0; i < 4; ++i) {
      n.part[i] = vsubq_s32(n.part[i], vreinterpretq_s32_u32(vcgtq_f32(a.part[i], b.part[i])));
    }
    return n;
  }
  static QUANT_INLINE F32x16 lookup(F32x16 table, I32x16 index) {
    uint8x16x4_t bytes;
    for (int i = 0; i < 4; ++i) bytes.val[i] = vreinterpretq_u8_f32(table.part[i]);
    F32x16 r;
    for (int i = 0; i < 4; ++i) {
      // Entry n is bytes 4n to 4n + 3.
      const int32x4_t first = vmulq_n_s32(index.part[i], 0x04040404);
      const int32x4_t four = vaddq_s32(first, vdupq_n_s32(0x03020100));
      r.part[i] = vreinterpretq_f32_u8(vqtbl4q_u8(bytes, vreinterpretq_u8_s32(four)));
    }
    return r;
  }
  template <int Bits>
  static QUANT_INLINE I32x16 unpack(const uint8_t* p) {
    uint64_t low = 0;
    uint64_t high = 0;
    memcpy(&low, p, Bits);
    memcpy(&high, p + Bits, Bits);
    return {{unpack_4<Bits, 0>(low), unpack_4<Bits, 4>(low), unpack_4<Bits, 0>(high),
             unpack_4<Bits, 4>(high)}};
  }
  static QUANT_INLINE I32x16 load_i8(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
    const int16x8_t high = vmovl_high_s8(bytes);
    return {{vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)),
             vmovl_high_s16(high)}};
  }
  static QUANT_INLINE void store_i8(int8_t* p, I32x16 v) {
    const int16x8_t low = vcombine_s16(vmovn_s32(v.part[0]), vmovn_s32(v.part[1]));
    const int16x8_t high = vcombine_s16(vmovn_s32(v.part[2]), vmovn_s32(v.part[3]));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  }

  static QUANT_INLINE void store_u14x64(uint8_t* high, uint8_t* low, const I32x16 (&v)[4]) {
    for (int i = 0; i < 4; ++i) {
      const uint16x8_t first =
          vreinterpretq_u16_s16(vcombine_s16(vmovn_s32(v[i].part[0]), vmovn_s32(v[i].part[1])));
      const uint16x8_t second =
          vreinterpretq_u16_s16(vcombine_s16(vmovn_s32(v[i].part[2]), vmovn_s32(v[i].part[3])));
      vst1q_u8(high + 16 * i, vcombine_u8(vshrn_n_u16(first, 7), vshrn_n_u16(second, 7)));
      const uint8x16_t bytes = vcombine_u8(vmovn_u16(first), vmovn_u16(second));
      vst1q_u8(low + 16 * i, vandq_u8(bytes, vdupq_n_u8(127)));
    }
  }

  static QUANT_INLINE void store_u8x64(uint8_t* p, const I32x16 (&v)[4]) {
    for (int i = 0; i < 4; ++i) store_i8(reinterpret_cast<int8_t*>(p + 16 * i), v[i]);
  }

  // Four bytes in each lane.
  template <int Bytes>
  static QUANT_INLINE I32x16 load_bytes(const uint8_t* p) {
    I32x16 r = set1_i32(0);
    for (int i = 0; i < Bytes / 16; ++i) r.part[i] = vreinterpretq_s32_u8(vld1q_u8(p + 16 * i));
    return r;
  }
  static QUANT_INLINE I32x16 load_u16(const uint8_t* p) {
    I32x16 r;
    for (int i = 0; i < 4; ++i) {
      const uint16x4_t number = vreinterpret_u16_u8(vld1_u8(p + 8 * i));
      r.part[i] = vreinterpretq_s32_u32(vmovl_u16(number));
    }
    return r;
  }
  template <int Left>
  static QUANT_INLINE I32x16 shift_i32(I32x16 v) {
    for (int32x4_t& part : v.part) {
      const uint32x4_t bits = vreinterpretq_u32_s32(part);
      part = vreinterpretq_s32_u32(vshlq_u32(bits, vdupq_n_s32(Left)));
    }
    return v;
  }
  static QUANT_INLINE I32x16 and_i32(I32x16 a, I32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vandq_s32(a.part[i], b.part[i]);
    return a;
  }
  static QUANT_INLINE I32x16 or_i32(I32x16 a, I32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vorrq_s32(a.part[i], b.part[i]);
    return a;
  }
  template <int From, int Count, int To>
  static QUANT_INLINE I32x16 byte_bits(I32x16 v) {
    const uint8x16_t mask = vdupq_n_u8(static_cast<uint8_t>(((1 << Count) - 1) << To));
    for (int32x4_t& part : v.part) {
      const uint8x16_t moved = vshlq_u8(vreinterpretq_u8_s32(part), vdupq_n_s8(To - From));
      part = vreinterpretq_s32_u8(vandq_u8(moved, mask));
    }
    return v;
  }
  template <int First, int To>
  static QUANT_INLINE I32x16 bits_to_bytes(I32x16 v) {
    for (int32x4_t& part : v.part) {
      const uint32x4_t down = vshlq_u32(vreinterpretq_u32_s32(part), vdupq_n_s32(-First));
      const uint32x4_t bits = vandq_u32(down, vdupq_n_u32(15));
      const uint32x4_t spread = vmulq_n_u32(bits, 0x00204081u << To);
      part = vreinterpretq_s32_u32(vandq_u32(spread, vdupq_n_u32(0x01010101u << To)));
    }
    return v;
  }
  static QUANT_INLINE I32x16 sub_bytes(I32x16 a, I32x16 b) {
    for (int i = 0; i < 4; ++i) {
      a.part[i] = vreinterpretq_s32_u8(
          vsubq_u8(vreinterpretq_u8_s32(a.part[i]), vreinterpretq_u8_s32(b.part[i])));
    }
    return a;
  }
  static QUANT_INLINE I32x16 lookup_bytes(U8x16 table, I32x16 index) {
    for (int32x4_t& part : index.part) {
      part = vreinterpretq_s32_u8(vqtbl1q_u8(table, vreinterpretq_u8_s32(part)));
    }
    return index;
  }
  template <int Index>
  static QUANT_INLINE I32x16 signed_byte(I32x16 v) {
    for (int32x4_t& part : v.part) {
      part = vshrq_n_s32(vshlq_s32(part, vdupq_n_s32(24 - 8 * Index)), 24);
    }
    return v;
  }
  template <int Index>
  static QUANT_INLINE F32x16 half_of(I32x16 v) {
    F32x16 r;
    for (int i = 0; i < 4; ++i) {
      const uint32x4_t down = vshlq_u32(vreinterpretq_u32_s32(v.part[i]), vdupq_n_s32(-16 * Index));
      r.part[i] = vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(down)));
    }
    return r;
  }
  static QUANT_INLINE void transpose(I32x16 (&r)[16]) {
    F32x16 f[16];
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 4; ++j) f[i].part[j] = vreinterpretq_f32_s32(r[i].part[j]);
    }
    transpose(f);
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 4; ++j) r[i].part[j] = vreinterpretq_s32_f32(f[i].part[j]);
    }
  }

  // Integer products, without the optional dot-product instructions. Sums of two 16-bit products
  // still fit 16 bits: 2·128·127 < 2^15.
  template <int Most>
  static constexpr int kDotRun = 64;
  template <int Most>
  static QUANT_INLINE DotWeights dot_weights(I32x16 v) {
    DotWeights r;
    for (int i = 0; i < 4; ++i) r.part[i] = vreinterpretq_s8_s32(v.part[i]);
    return r;
  }
  template <int Most>
  static QUANT_INLINE DotWeights lookup_weights(U8x16 table, I32x16 index) {
    return dot_weights<Most>(lookup_bytes(table, index));
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_start(int32_t) {
    return set1_i32(0);
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_open(I32x16 total) {
    return total;
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot4(I32x16 acc, DotWeights w, const int8_t* x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    const int8x16_t inputs = vreinterpretq_s8_s32(vdupq_n_s32(four));
    for (int i = 0; i < 4; ++i) {
      const int16x8_t low = vmull_s8(vget_low_s8(w.part[i]), vget_low_s8(inputs));
      const int16x8_t high = vmull_high_s8(w.part[i], inputs);
      acc.part[i] = vpadalq_s16(acc.part[i], vpaddq_s16(low, high));
    }
    return acc;
  }
  template <int Most>
  static QUANT_INLINE I32x16 dot_close(I32x16, I32x16 running) {
    return running;
  }
  static QUANT_INLINE I32x16 dot4_mixed(I32x16 acc, I32x16 w, const uint8_t* x) {
    return dot4<0>(acc, dot_weights<0>(w), reinterpret_cast<const int8_t*>(x));
  }
  static QUANT_INLINE I32x16 dot4_few(I32x16 acc, I32x16 w, const uint8_t* x) {
    uint32_t four;
    memcpy(&four, x, sizeof four);
    const uint8x16_t inputs = vreinterpretq_u8_u32(vdupq_n_u32(four));
    for (int i = 0; i < 4; ++i) {
      const uint8x16_t bytes = vreinterpretq_u8_s32(w.part[i]);
      const uint16x8_t low = vmull_u8(vget_low_u8(bytes), vget_low_u8(inputs));
      const uint16x8_t high = vmull_high_u8(bytes, inputs);
      const uint32x4_t sum = vreinterpretq_u32_s32(acc.part[i]);
      acc.part[i] = vreinterpretq_s32_u32(vpadalq_u16(sum, vpaddq_u16(low, high)));
    }
    return acc;
  }

  // The same with 16 bits.
  static QUANT_INLINE I32x16 pair_words(I32x16 a, I32x16 b) {
    for (int i = 0; i < 4; ++i) a.part[i] = vsliq_n_s32(a.part[i], b.part[i], 16);
    return a;
  }
  static QUANT_INLINE I32x16 max_words(I32x16 a, I32x16 b) {
    for (int i = 0; i < 4; ++i) {
      a.part[i] = vreinterpretq_s32_s16(
          vmaxq_s16(vreinterpretq_s16_s32(a.part[i]), vreinterpretq_s16_s32(b.part[i])));
    }
    return a;
  }
  static QUANT_INLINE I32x16 max_words_of_each(const I32x16 (&v)[16]) {
    I32x16 r;
    for (int g = 0; g < 4; ++g) {
      const auto eight = [](const I32x16& row) __attribute__((always_inline)) {
        int16x8_t top = vreinterpretq_s16_s32(row.part[0]);
        for (int i = 1; i < 4; ++i) top = vmaxq_s16(top, vreinterpretq_s16_s32(row.part[i]));
        return top;
      };
      const int16x8_t a = vpmaxq_s16(eight(v[4 * g]), eight(v[4 * g + 1]));
      const int16x8_t b = vpmaxq_s16(eight(v[4 * g + 2]), eight(v[4 * g + 3]));
      r.part[g] = vreinterpretq_s32_s16(vpmaxq_s16(a, b));
    }
    return r;
  }
  static QUANT_INLINE I32x16 even_bytes(I32x16 v) {
    for (auto& part : v.part) {
      part = vreinterpretq_s32_s16(vshlq_n_s16(vreinterpretq_s16_s32(part), 8));
    }
    return odd_bytes(v);
  }
  static QUANT_INLINE I32x16 odd_bytes(I32x16 v) {
    for (auto& part : v.part) {
      part = vreinterpretq_s32_s16(vshrq_n_s16(vreinterpretq_s16_s32(part), 8));
    }
    return v;
  }
  static QUANT_INLINE void store_i16_pairs(int16_t* p, I32x16 v) {
    for (int i = 0; i < 4; ++i) {
      const int16x4_t words = vmovn_s32(v.part[i]);
      vst1_s16(p + 4 * i, vuzp1_s16(words, vext_s16(words, words, 1)));
    }
  }
  static QUANT_INLINE I32x16 dot2(I32x16 acc, I32x16 w, const int16_t* x) {
    int32_t two;
    memcpy(&two, x, sizeof two);
    const int16x8_t inputs = vreinterpretq_s16_s32(vdupq_n_s32(two));
    for (int i = 0; i < 4; ++i) {
      const int16x8_t words = vreinterpretq_s16_s32(w.part[i]);
      const int32x4_t low = vmull_s16(vget_low_s16(words), vget_low_s16(inputs));
      const int32x4_t high = vmull_high_s16(words, inputs);
      acc.part[i] = vaddq_s32(acc.part[i], vpaddq_s32(low, high));
    }
    return acc;
  }

  // Bytes.
  static QUANT_INLINE U8x16 load_u8(const uint8_t* p) { return vld1q_u8(p); }
  static QUANT_INLINE void store_u8(void* p, U8x16 v) { vst1q_u8(static_cast<uint8_t*>(p), v); }
  static QUANT_INLINE U8x16 lookup_u8(U8x16 table, U8x16 index) { return vqtbl1q_u8(table, index); }

 private:
  static QUANT_INLINE float32x4_t greater(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
  }
  static QUANT_INLINE float32x4_t low_pairs(float32x4_t a, float32x4_t b) {
    return vcombine_f32(vget_low_f32(a), vget_low_f32(b));
  }
  static QUANT_INLINE float32x4_t high_pairs(float32x4_t a, float32x4_t b) {
    return vcombine_f32(vget_high_f32(a), vget_high_f32(b));
  }
  /// Codes First to First + 3 of a word, each of which lies in at most two neighbouring bytes.
  template <int Bits, int First>
  static QUANT_INLINE int32x4_t unpack_4(uint64_t word) {
    constexpr int kBit = First * Bits;
    const uint32x4_t where = {byte_pair(kBit), byte_pair(kBit + Bits), byte_pair(kBit + 2 * Bits),
                              byte_pair(kBit + 3 * Bits)};
    const int32x4_t shift = {-(kBit % 8), -((kBit + Bits) % 8), -((kBit + 2 * Bits) % 8),
                             -((kBit + 3 * Bits) % 8)};
    const uint8x16_t bytes = vcombine_u8(vcreate_u8(word), vcreate_u8(0));
    const uint32x4_t pairs = vreinterpretq_u32_u8(vqtbl1q_u8(bytes, vreinterpretq_u8_u32(where)));
    return vreinterpretq_s32_u32(
        vandq_u32(vshlq_u32(pairs, shift), vdupq_n_u32((1u << Bits) - 1u)));
  }
  /// Table indices that fetch the byte of a bit, the byte after it, and two zeros.
  static constexpr uint32_t byte_pair(int bit) {
    return 0xffff0000u | static_cast<uint32_t>((bit / 8 + 1) << 8 | bit / 8);
  }
};

}  // namespace quant
