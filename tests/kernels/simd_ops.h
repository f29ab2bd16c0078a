// Every operation of the vector vocabulary behind one signature, so that instruction sets can be
// compared. Compiled with ISA flags: the rules of simd/scalar.h hold here too.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace quant::test {

/// What values an operation is defined for.
enum class SimdDomain {
  kAny,          // any bits, as floats, integers and bytes
  kRoundable,    // floats below 2^22 in magnitude, many of them half-way between integers
  kScalable,     // floats within 2^±60, integers within ±60
  kIndices,      // integers in [0, 16), bytes in [0, 16)
  kNoNan,        // any floats but NaN
  kDotProducts,  // any bytes; x of them in [-127, 127]
};

struct SimdInput {
  alignas(64) float f[16][16];
  alignas(64) int32_t i[16][16];
  alignas(64) uint8_t bytes[256];
  alignas(64) int8_t x[64];
  int n;  // in [0, 16]
};

struct SimdOutput {
  alignas(64) float f[64];          // results in which any NaN is as good as another
  alignas(64) uint8_t bytes[1024];  // results whose every bit counts
};

struct SimdOp {
  const char* name;
  SimdDomain domain;
  void (*run)(const SimdInput& in, SimdOutput& out);
};

struct SimdOpList {
  const SimdOp* ops;
  size_t count;
};

template <class S>
struct SimdOps {
  using F = typename S::F32x16;
  using I = typename S::I32x16;
  using In = const SimdInput&;
  using Out = SimdOutput&;

  static F f(In in, int n) { return S::load(in.f[n]); }
  static I i(In in, int n) { return S::load_i32(in.i[n]); }
  static auto u(In in, int n) { return S::load_u8(in.bytes + 16 * n); }
  static void put(Out out, F v) { S::store(out.f, v); }
  static void put_bits(Out out, F v, int n = 0) {
    S::store(reinterpret_cast<float*>(out.bytes) + 16 * n, v);
  }
  static void put_i32(Out out, I v, int n = 0) {
    S::store_i32(reinterpret_cast<int32_t*>(out.bytes) + 16 * n, v);
  }

  static void constants(In in, Out out) {
    put_bits(out, S::zero(), 0);
    put_bits(out, S::set1(in.f[0][3]), 1);
    put_i32(out, S::set1_i32(in.i[0][5]), 2);
  }
  static void copies(In in, Out out) {
    const float* unaligned = reinterpret_cast<const float*>(in.bytes + 3);
    S::store(reinterpret_cast<float*>(out.bytes + 1), S::load(unaligned));
  }
  static void store_partial(In in, Out out) {
    S::store_partial(reinterpret_cast<float*>(out.bytes + 65), f(in, 0), in.n);
  }
  static const uint16_t* halves(In in) { return reinterpret_cast<const uint16_t*>(in.bytes + 1); }
  static void load_half(In in, Out out) { put(out, S::load_half(halves(in))); }
  static void load_bfloat(In in, Out out) { put_bits(out, S::load_bfloat(halves(in))); }
  static void store_half(In in, Out out) {
    S::store_half(reinterpret_cast<uint16_t*>(out.bytes + 1), f(in, 0));
  }
  static void store_bfloat(In in, Out out) {
    S::store_bfloat(reinterpret_cast<uint16_t*>(out.bytes + 1), f(in, 0));
  }
  static void half(In in, Out out) {
    for (int n = 0; n < 16; ++n) out.f[n] = S::half(static_cast<uint16_t>(in.i[0][n]));
  }
  static void to_half(In in, Out out) {
    for (int n = 0; n < 16; ++n) {
      const uint16_t half = S::to_half(in.f[0][n]);
      out.bytes[2 * n] = static_cast<uint8_t>(half & 0xff);
      out.bytes[2 * n + 1] = static_cast<uint8_t>(half >> 8);
    }
  }
  static void add(In in, Out out) { put(out, S::add(f(in, 0), f(in, 1))); }
  static void sub(In in, Out out) { put(out, S::sub(f(in, 0), f(in, 1))); }
  static void mul(In in, Out out) { put(out, S::mul(f(in, 0), f(in, 1))); }
  static void div(In in, Out out) { put(out, S::div(f(in, 0), f(in, 1))); }
  static void fma(In in, Out out) { put(out, S::fma(f(in, 0), f(in, 1), f(in, 2))); }
  static void abs(In in, Out out) { put_bits(out, S::abs(f(in, 0))); }
  static void max(In in, Out out) { put_bits(out, S::max(f(in, 0), f(in, 1))); }
  static void min(In in, Out out) { put_bits(out, S::min(f(in, 0), f(in, 1))); }
  static void select_less(In in, Out out) {
    put_bits(out, S::select_less(f(in, 0), f(in, 1), f(in, 2), f(in, 3)));
  }
  static void reduce_add(In in, Out out) { out.f[0] = S::reduce_add(f(in, 0)); }
  static void reduce_max(In in, Out out) { out.f[0] = S::reduce_max(f(in, 0)); }
  static void transpose(In in, Out out) {
    F rows[16];
    for (int n = 0; n < 16; ++n) rows[n] = f(in, n);
    S::transpose(rows);
    for (int n = 0; n < 16; ++n) put_bits(out, rows[n], n);
  }
  static void transpose_i32(In in, Out out) {
    I rows[16];
    for (int n = 0; n < 16; ++n) rows[n] = i(in, n);
    S::transpose(rows);
    for (int n = 0; n < 16; ++n) put_i32(out, rows[n], n);
  }
  static void swap_lanes(In in, Out out) {
    put_bits(out, S::template swap_lanes<1>(f(in, 0)), 0);
    put_bits(out, S::template swap_lanes<2>(f(in, 0)), 1);
    put_bits(out, S::template swap_lanes<4>(f(in, 0)), 2);
    put_bits(out, S::template swap_lanes<8>(f(in, 0)), 3);
  }

  static void add_i32(In in, Out out) { put_i32(out, S::add_i32(i(in, 0), i(in, 1))); }
  static void or_i32(In in, Out out) { put_i32(out, S::or_i32(i(in, 0), i(in, 1))); }
  static void reduce_add_i32(In in, Out out) {
    put_i32(out, S::set1_i32(S::reduce_add_i32(i(in, 0))));
  }
  static void to_float(In in, Out out) { put_bits(out, S::to_float(i(in, 0))); }
  static void to_int(In in, Out out) { put_i32(out, S::to_int(f(in, 0))); }
  static void scale(In in, Out out) {
    const F t = S::add(S::to_float(i(in, 0)), S::set1(0x1.8p23f));
    put_bits(out, S::scale_by_power_of_two(f(in, 0), t));
    // A factor of 0, the smallest and the largest.
    constexpr float kEdges[] = {-127.0f, -126.0f, 127.0f};
    for (int n = 0; n < 3; ++n) {
      put_bits(out, S::scale_by_power_of_two(f(in, 0), S::set1(0x1.8p23f + kEdges[n])), 1 + n);
    }
  }
  static void count_greater(In in, Out out) {
    put_i32(out, S::count_greater(i(in, 0), f(in, 0), f(in, 1)));
  }
  static void lookup(In in, Out out) { put_bits(out, S::lookup(f(in, 1), i(in, 0))); }
  static void unpack(In in, Out out) {
    put_i32(out, S::template unpack<2>(in.bytes + 2), 0);
    put_i32(out, S::template unpack<3>(in.bytes + 3), 1);
    put_i32(out, S::template unpack<4>(in.bytes + 5), 2);
    put_i32(out, S::template unpack<8>(in.bytes + 13), 3);
  }
  static void load_i8(In in, Out out) {
    put_i32(out, S::load_i8(reinterpret_cast<const int8_t*>(in.bytes + 1)));
  }
  static void store_i8(In in, Out out) {
    S::store_i8(reinterpret_cast<int8_t*>(out.bytes + 1), i(in, 0));
  }
  static void store_u14x64(In in, Out out) {
    const typename S::I32x16 v[4] = {
        S::template shift_i32<-18>(i(in, 0)), S::template shift_i32<-18>(i(in, 1)),
        S::template shift_i32<-20>(i(in, 0)), S::template shift_i32<-25>(i(in, 1))};
    S::store_u14x64(out.bytes + 1, out.bytes + 67, v);
  }
  static void store_u8x64(In in, Out out) {
    const typename S::I32x16 v[4] = {
        S::template shift_i32<-24>(i(in, 0)), S::template shift_i32<-24>(i(in, 1)),
        S::template shift_i32<-25>(i(in, 0)), S::template shift_i32<-29>(i(in, 1))};
    S::store_u8x64(out.bytes + 1, v);
  }
  static void load_bytes(In in, Out out) {
    put_i32(out, S::template load_bytes<32>(in.bytes + 1), 0);
    put_i32(out, S::template load_bytes<64>(in.bytes + 1), 1);
  }
  static void load_u16(In in, Out out) { put_i32(out, S::load_u16(in.bytes + 3)); }
  static void shift_i32(In in, Out out) {
    put_i32(out, S::template shift_i32<4>(i(in, 0)), 0);
    put_i32(out, S::template shift_i32<15>(i(in, 1)), 1);
    put_i32(out, S::template shift_i32<-12>(i(in, 2)), 2);
    put_i32(out, S::template shift_i32<-31>(i(in, 3)), 3);
  }
  static void and_i32(In in, Out out) { put_i32(out, S::and_i32(i(in, 0), i(in, 1))); }
  static void byte_bits(In in, Out out) {
    put_i32(out, S::template byte_bits<0, 8, 0>(i(in, 0)), 0);
    put_i32(out, S::template byte_bits<0, 4, 0>(i(in, 0)), 1);
    put_i32(out, S::template byte_bits<4, 4, 0>(i(in, 0)), 2);
    put_i32(out, S::template byte_bits<2, 2, 4>(i(in, 0)), 3);
    put_i32(out, S::template byte_bits<6, 2, 4>(i(in, 0)), 4);
    put_i32(out, S::template byte_bits<7, 1, 2>(i(in, 0)), 5);
    put_i32(out, S::template byte_bits<0, 1, 7>(i(in, 0)), 6);
  }
  static void bits_to_bytes(In in, Out out) {
    put_i32(out, S::template bits_to_bytes<0, 0>(i(in, 0)), 0);
    put_i32(out, S::template bits_to_bytes<4, 4>(i(in, 0)), 1);
    put_i32(out, S::template bits_to_bytes<16, 2>(i(in, 0)), 2);
    put_i32(out, S::template bits_to_bytes<28, 7>(i(in, 0)), 3);
    put_i32(out, S::template bits_to_bytes<12, 4>(i(in, 0)), 4);
    put_i32(out, S::template bits_to_bytes<20, 0>(i(in, 0)), 5);
  }
  static void sub_bytes(In in, Out out) { put_i32(out, S::sub_bytes(i(in, 0), i(in, 1))); }
  static void lookup_bytes(In in, Out out) {
    put_i32(out,
            S::lookup_bytes(u(in, 1), S::load_i32(reinterpret_cast<const int32_t*>(in.bytes))));
  }
  static void signed_byte(In in, Out out) {
    put_i32(out, S::template signed_byte<0>(i(in, 0)), 0);
    put_i32(out, S::template signed_byte<1>(i(in, 0)), 1);
    put_i32(out, S::template signed_byte<2>(i(in, 0)), 2);
    put_i32(out, S::template signed_byte<3>(i(in, 0)), 3);
  }
  static void half_of(In in, Out out) {
    S::store(out.f, S::template half_of<0>(i(in, 0)));
    S::store(out.f + 16, S::template half_of<1>(i(in, 0)));
  }
  /// Of 16 words of weights in [0, Most], or of any where Most is 0, with all of x.
  template <int Most>
  static I dot_products(In in) {
    uint8_t weights[256];
    for (int n = 0; n < 256; ++n) weights[n] = Most == 0 ? in.bytes[n] : in.bytes[n] & Most;
    int32_t sum = 0;
    for (const int8_t x : in.x) sum += x;
    constexpr int kRun = S::template kDotRun<Most>;
    I total = S::template dot_start<Most>(sum);
    for (int run = 0; run < 16; run += kRun) {
      I running = S::template dot_open<Most>(total);
      for (int n = run; n < run + kRun && n < 16; ++n) {
        const auto four =
            S::template dot_weights<Most>(S::template load_bytes<64>(weights + 64 * (n % 4)));
        running = S::template dot4<Most>(running, four, in.x + 4 * n);
      }
      total = S::template dot_close<Most>(total, running);
    }
    return total;
  }
  static void dot4(In in, Out out) { put_i32(out, dot_products<0>(in)); }
  static void lookup_weights(In in, Out out) {
    const I index = S::template byte_bits<0, 4, 0>(i(in, 0));
    const I start = S::template dot_start<0>(in.x[0] + in.x[1] + in.x[2] + in.x[3]);
    const I sums = S::template dot4<0>(S::template dot_open<0>(start),
                                       S::template lookup_weights<0>(u(in, 1), index), in.x);
    put_i32(out, S::template dot_close<0>(start, sums));
  }
  /// Weights in [0, 2^n), n from 1.
  static void dot4_bits(In in, Out out) {
    put_i32(out, dot_products<1>(in), 0);
    put_i32(out, dot_products<3>(in), 1);
    put_i32(out, dot_products<7>(in), 2);
    put_i32(out, dot_products<15>(in), 3);
    put_i32(out, dot_products<31>(in), 4);
    put_i32(out, dot_products<63>(in), 5);
    put_i32(out, dot_products<127>(in), 6);
  }
  /// Signed weights times bytes in [0, 127].
  static void dot4_mixed(In in, Out out) {
    uint8_t x[12];
    for (int n = 0; n < 12; ++n) x[n] = static_cast<uint8_t>(in.x[n] & 0x7f);
    I acc = S::set1_i32(0);
    for (int n = 0; n < 3; ++n) {
      acc = S::dot4_mixed(acc, S::template load_bytes<64>(in.bytes + 64 * n), x + 4 * n);
    }
    put_i32(out, acc);
  }
  /// Weights in [0, 3] times any bytes.
  static void dot4_few(In in, Out out) {
    uint8_t x[12];
    for (int n = 0; n < 12; ++n) x[n] = static_cast<uint8_t>(in.x[n] << 1 | (n & 1));
    I acc = S::set1_i32(0);
    for (int n = 0; n < 3; ++n) {
      const I w = S::template byte_bits<3, 2, 0>(S::template load_bytes<64>(in.bytes + 64 * n));
      acc = S::dot4_few(acc, w, x + 4 * n);
    }
    put_i32(out, acc);
  }
  static void even_and_odd_bytes(In in, Out out) {
    put_i32(out, S::even_bytes(i(in, 0)), 0);
    put_i32(out, S::odd_bytes(i(in, 0)), 1);
  }
  static void store_i16_pairs(In in, Out out) {
    const I code = S::and_i32(i(in, 0), S::set1_i32(0x3fff));
    S::store_i16_pairs(reinterpret_cast<int16_t*>(out.bytes + 2), code);
  }
  static void dot2(In in, Out out) {
    int16_t x[6];
    for (int n = 0; n < 6; ++n) x[n] = static_cast<int16_t>(129 * in.x[n]);
    I acc = S::set1_i32(0);
    for (int n = 0; n < 3; ++n) {
      acc = S::dot2(acc, S::even_bytes(S::template load_bytes<64>(in.bytes + 64 * n)), x + 2 * n);
    }
    put_i32(out, acc);
  }

  static void words(In in, Out out) {
    put_i32(out, S::bits(f(in, 0)), 0);
    put_i32(out, S::pair_words(i(in, 0), i(in, 1)), 1);
    put_i32(out, S::max_words(i(in, 0), i(in, 1)), 2);
    I rows[16];
    for (int n = 0; n < 16; ++n) rows[n] = S::and_i32(i(in, n), S::set1_i32(0x7fff7fff));
    const I top = S::max_words_of_each(rows);  // which of a lane's words is the larger is free
    put_i32(out,
            S::and_i32(S::max_words(top, S::template shift_i32<-16>(top)), S::set1_i32(0xffff)), 3);
  }

  static void lookup_u8(In in, Out out) {
    S::store_u8(out.bytes, S::lookup_u8(u(in, 1), u(in, 0)));
  }

  static constexpr SimdOp kList[] = {
      {"constants", SimdDomain::kAny, constants},
      {"copies", SimdDomain::kAny, copies},
      {"store_partial", SimdDomain::kAny, store_partial},
      {"load_half", SimdDomain::kAny, load_half},
      {"load_bfloat", SimdDomain::kAny, load_bfloat},
      {"store_half", SimdDomain::kNoNan, store_half},
      {"store_bfloat", SimdDomain::kNoNan, store_bfloat},
      {"half", SimdDomain::kAny, half},
      {"to_half", SimdDomain::kNoNan, to_half},
      {"add", SimdDomain::kAny, add},
      {"sub", SimdDomain::kAny, sub},
      {"mul", SimdDomain::kAny, mul},
      {"div", SimdDomain::kAny, div},
      {"fma", SimdDomain::kAny, fma},
      {"abs", SimdDomain::kAny, abs},
      {"max", SimdDomain::kAny, max},
      {"min", SimdDomain::kAny, min},
      {"select_less", SimdDomain::kAny, select_less},
      {"reduce_add", SimdDomain::kScalable, reduce_add},
      {"reduce_max", SimdDomain::kAny, reduce_max},
      {"transpose", SimdDomain::kAny, transpose},
      {"transpose_i32", SimdDomain::kAny, transpose_i32},
      {"swap_lanes", SimdDomain::kAny, swap_lanes},
      {"add_i32", SimdDomain::kScalable, add_i32},
      {"or_i32", SimdDomain::kAny, or_i32},
      {"reduce_add_i32", SimdDomain::kScalable, reduce_add_i32},
      {"to_float", SimdDomain::kAny, to_float},
      {"to_int", SimdDomain::kRoundable, to_int},
      {"scale_by_power_of_two", SimdDomain::kScalable, scale},
      {"count_greater", SimdDomain::kScalable, count_greater},
      {"lookup", SimdDomain::kIndices, lookup},
      {"unpack", SimdDomain::kAny, unpack},
      {"load_i8", SimdDomain::kAny, load_i8},
      {"store_i8", SimdDomain::kAny, store_i8},
      {"store_u8x64", SimdDomain::kAny, store_u8x64},
      {"store_u14x64", SimdDomain::kAny, store_u14x64},
      {"load_bytes", SimdDomain::kAny, load_bytes},
      {"load_u16", SimdDomain::kAny, load_u16},
      {"shift_i32", SimdDomain::kAny, shift_i32},
      {"and_i32", SimdDomain::kAny, and_i32},
      {"byte_bits", SimdDomain::kAny, byte_bits},
      {"bits_to_bytes", SimdDomain::kAny, bits_to_bytes},
      {"sub_bytes", SimdDomain::kAny, sub_bytes},
      {"lookup_bytes", SimdDomain::kIndices, lookup_bytes},
      {"signed_byte", SimdDomain::kAny, signed_byte},
      {"half_of", SimdDomain::kAny, half_of},
      {"dot4", SimdDomain::kDotProducts, dot4},
      {"lookup_weights", SimdDomain::kDotProducts, lookup_weights},
      {"dot4_mixed", SimdDomain::kDotProducts, dot4_mixed},
      {"dot4_few", SimdDomain::kDotProducts, dot4_few},
      {"dot4_bits", SimdDomain::kDotProducts, dot4_bits},
      {"even_and_odd_bytes", SimdDomain::kAny, even_and_odd_bytes},
      {"store_i16_pairs", SimdDomain::kAny, store_i16_pairs},
      {"dot2", SimdDomain::kDotProducts, dot2},
      {"words", SimdDomain::kAny, words},
      {"lookup_u8", SimdDomain::kIndices, lookup_u8},
  };
  static constexpr SimdOpList list() { return {kList, sizeof kList / sizeof kList[0]}; }
};

}  // namespace quant::test
