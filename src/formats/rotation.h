// The random rotation of turbo_kv rows: x ← H·(s∘x)/√d with signs s and a Hadamard matrix H.
//
// H is a Kronecker product. Where d is a power of two, all its factors are [1 1; 1 -1] (Walsh-
// Hadamard); otherwise one factor is a Williamson matrix (Williamson 1944) of order 12, 20 or 28.
// Its 4×4 array of circulant blocks acts on vectors of sixteen lanes without any gather: the
// circulants mix whole vectors, the array mixes lanes that differ in bits 2 and 3.
#pragma once

#include <stdint.h>

namespace quant {

/// Part of the signs' seed: another version of the rotation needs other golden bytes.
static constexpr uint64_t kRotationVersion = 1;
static constexpr int kRotationMaxDim = 512;

/// Tables over lanes and coordinates, each entry +1 or -1.
struct RotationSigns {
  alignas(64) float coordinate[kRotationMaxDim];
  alignas(64) float butterfly[4][16];  // minus where lane bit i is set
  alignas(
      64) float williamson[4][16];  // sign of block (p, p ^ c), at [c] for lanes of p = lane / 4
};

static constexpr RotationSigns make_rotation_signs() {
  RotationSigns signs{};
  for (int j = 0; j < kRotationMaxDim; ++j) {
    // Output j of SplitMix64 seeded with the version; its top bit is as good as any.
    uint64_t z = kRotationVersion + (static_cast<uint64_t>(j) + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    signs.coordinate[j] = (z >> 63) != 0 ? -1.0f : 1.0f;
  }
  constexpr float kArray[4][4] = {
      {1.0f, 1.0f, 1.0f, 1.0f},
      {-1.0f, 1.0f, -1.0f, 1.0f},
      {-1.0f, 1.0f, 1.0f, -1.0f},
      {-1.0f, -1.0f, 1.0f, 1.0f},
  };
  for (int lane = 0; lane < 16; ++lane) {
    for (int i = 0; i < 4; ++i) {
      signs.butterfly[i][lane] = (lane >> i & 1) != 0 ? -1.0f : 1.0f;
      signs.williamson[i][lane] = kArray[lane / 4][(lane / 4) ^ i];
    }
  }
  return signs;
}

static constexpr RotationSigns kRotationSigns = make_rotation_signs();

/// First rows of the four symmetric circulants W_c of order 3, 5 and 7: ΣW_c² = 4·order·I.
static constexpr int8_t kWilliamson3[4][3] = {{1, 1, 1}, {1, -1, -1}, {1, -1, -1}, {1, -1, -1}};
static constexpr int8_t kWilliamson5[4][5] = {
    {1, 1, -1, -1, 1}, {1, -1, 1, 1, -1}, {1, -1, -1, -1, -1}, {1, -1, -1, -1, -1}};
static constexpr int8_t kWilliamson7[4][7] = {{1, 1, 1, -1, -1, 1, 1},
                                              {1, -1, 1, 1, 1, 1, -1},
                                              {1, -1, 1, 1, 1, 1, -1},
                                              {1, -1, -1, 1, 1, -1, -1}};

template <class S>
struct Rotation {
  using F = typename S::F32x16;

  /// d = 16·2^i·{1, 3, 5, 7}, at most 512.
  static constexpr bool supports(int d) {
    if (d < 16 || d > kRotationMaxDim || d % 16 != 0) return false;
    const int odd = odd_part(d);
    return odd == 1 || odd == 3 || odd == 5 || odd == 7;
  }

  /// x [d] in place.
  static void rotate(float* x, int d) {
    for (int j = 0; j < d; j += 16) S::store(x + j, flip(S::load(x + j), j));
    multiply<false>(x, d);
    scale(x, d);
  }
  /// Undoes rotate.
  static void unrotate(float* x, int d) {
    multiply<true>(x, d);
    scale(x, d);
    for (int j = 0; j < d; j += 16) S::store(x + j, flip(S::load(x + j), j));
  }

 private:
  static constexpr int odd_part(int d) {
    while (d % 2 == 0) d /= 2;
    return d;
  }
  static F flip(F v, int j) { return S::mul(v, S::load(kRotationSigns.coordinate + j)); }
  static void scale(float* x, int d) {
    const F factor = S::set1(1.0f / __builtin_sqrtf(static_cast<float>(d)));
    for (int j = 0; j < d; j += 16) S::store(x + j, S::mul(S::load(x + j), factor));
  }

  /// x ← H·x, or Hᵀ·x.
  template <bool Transposed>
  static void multiply(float* x, int d) {
    const int odd = odd_part(d);
    for (int j = 0; j < d; j += 16) {
      F v = butterfly<2>(butterfly<1>(S::load(x + j)));
      if (odd == 1) v = butterfly<8>(butterfly<4>(v));
      S::store(x + j, v);
    }
    const int stride = d / odd;  // floats between the vectors that a circulant mixes
    if (odd == 3) multiply_williamson<Transposed>(x, stride, kWilliamson3);
    if (odd == 5) multiply_williamson<Transposed>(x, stride, kWilliamson5);
    if (odd == 7) multiply_williamson<Transposed>(x, stride, kWilliamson7);
    for (int half = 16; half < stride; half *= 2) {
      for (int j = 0; j < d; j += (j + 16) % half == 0 ? half + 16 : 16) {
        const F a = S::load(x + j);
        const F b = S::load(x + j + half);
        S::store(x + j, S::add(a, b));
        S::store(x + j + half, S::sub(a, b));
      }
    }
  }

  /// Sums and differences of lanes that are Distance apart.
  template <int Distance>
  static F butterfly(F v) {
    constexpr int kBit = Distance == 1 ? 0 : Distance == 2 ? 1 : Distance == 4 ? 2 : 3;
    const F signs = S::load(kRotationSigns.butterfly[kBit]);
    return S::add(S::template swap_lanes<Distance>(v), S::mul(v, signs));
  }

  template <bool Transposed, int Odd>
  static void multiply_williamson(float* x, int stride, const int8_t (&rows)[4][Odd]) {
    for (int j = 0; j < stride; j += 16) {
      F in[Odd];
      for (int r = 0; r < Odd; ++r) in[r] = S::load(x + j + r * stride);
      for (int r = 0; r < Odd; ++r) {
        F sum = circulant<Odd>(in, r, rows[0]);
        const F b = S::template swap_lanes<4>(circulant<Odd>(in, r, rows[1]));
        const F c = S::template swap_lanes<8>(circulant<Odd>(in, r, rows[2]));
        const F d =
            S::template swap_lanes<4>(S::template swap_lanes<8>(circulant<Odd>(in, r, rows[3])));
        sum = add_block<Transposed>(sum, b, 1);
        sum = add_block<Transposed>(sum, c, 2);
        sum = add_block<Transposed>(sum, d, 3);
        S::store(x + j + r * stride, sum);
      }
    }
  }

  /// Row r of a circulant matrix times a column of vectors.
  template <int Odd>
  static F circulant(const F (&in)[Odd], int r, const int8_t (&first_row)[Odd]) {
    F sum = S::zero();
    for (int k = 0; k < Odd; ++k) {
      const int8_t sign = first_row[(k - r + Odd) % Odd];
      sum = sign > 0 ? S::add(sum, in[k]) : S::sub(sum, in[k]);
    }
    return sum;
  }

  /// Off the diagonal the array of signs is skew, so its transpose subtracts.
  template <bool Transposed>
  static F add_block(F sum, F block, int c) {
    const F term = S::mul(block, S::load(kRotationSigns.williamson[c]));
    return Transposed ? S::sub(sum, term) : S::add(sum, term);
  }
};

}  // namespace quant
