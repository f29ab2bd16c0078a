// The random rotation of turbo_kv: fixed random signs, then an orthonormal Hadamard matrix.
//
// d = m·p with p a power of two and m one of 1, 12, 20, 28: the matrix is the Kronecker product of
// a Hadamard matrix of order m (Paley 1933) with the Walsh-Hadamard matrix of order p. Every
// coordinate of the result is a mean of all of the row's, close to Gaussian whatever the row was
// (QuaRot, arXiv 2404.00456).
#pragma once

#include <stdint.h>

namespace quant {

static constexpr int kMaxHeadDim = 512;

/// Rows of the Hadamard factor that a head_dim needs: 1, 12, 20, 28, or 0 if the dimension has no
/// such product.
static constexpr int hadamard_order(int d) {
  for (const int m : {1, 12, 20, 28}) {
    const int p = d / m;
    if (d > 0 && p * m == d && (p & (p - 1)) == 0) return m;
  }
  return 0;
}

template <class S>
struct Rotation {
  /// In place; x is [d].
  static void apply(float* x, int d) {
    for (int i = 0; i < d; ++i) x[i] *= kSigns.value[i];
    transform<false>(x, d);
  }
  static void invert(float* x, int d) {
    transform<true>(x, d);
    for (int i = 0; i < d; ++i) x[i] *= kSigns.value[i];
  }

 private:
  struct Signs {
    float value[kMaxHeadDim];
  };
  struct Matrix {
    int8_t at[28][28];
  };

  /// Signs are top bits of SplitMix64 of format version and coordinate.
  static constexpr Signs make_signs() {
    constexpr uint64_t kVersion = 1;
    Signs signs{};
    for (int i = 0; i < kMaxHeadDim; ++i) {
      uint64_t z = ((kVersion << 32) + static_cast<uint64_t>(i) + 1) * 0x9e3779b97f4a7c15u;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      z ^= z >> 31;
      signs.value[i] = (z >> 63) != 0 ? -1.0f : 1.0f;
    }
    return signs;
  }

  /// Quadratic character of a modulo the prime q: 1 for squares, -1 for others, 0 for 0.
  static constexpr int character(int a, int q) {
    a = (a % q + q) % q;
    if (a == 0) return 0;
    for (int i = 1; i < q; ++i) {
      if (i * i % q == a) return 1;
    }
    return -1;
  }

  /// Paley's matrix of order q + 1, bordered by ones: skew for q = 3 mod 4, symmetric for q = 1
  /// mod 4.
  static constexpr Matrix conference(int q) {
    Matrix c{};
    const int border = q % 4 == 3 ? -1 : 1;
    for (int i = 0; i < q; ++i) {
      c.at[0][i + 1] = 1;
      c.at[i + 1][0] = static_cast<int8_t>(border);
      for (int j = 0; j < q; ++j) c.at[i + 1][j + 1] = static_cast<int8_t>(character(i - j, q));
    }
    return c;
  }

  /// Paley's first construction gives orders 12 and 20 (q = 11, 19), his second 28 (q = 13).
  static constexpr Matrix make_hadamard(int order) {
    Matrix h{};
    if (order != 28) {
      h = conference(order - 1);
      for (int i = 0; i < order; ++i) h.at[i][i] = 1;
      return h;
    }
    const Matrix c = conference(13);
    for (int i = 0; i < 14; ++i) {
      for (int j = 0; j < 14; ++j) {
        const int diagonal = i == j ? 1 : 0;
        h.at[2 * i][2 * j] = static_cast<int8_t>(c.at[i][j] + diagonal);
        h.at[2 * i][2 * j + 1] = static_cast<int8_t>(c.at[i][j] - diagonal);
        h.at[2 * i + 1][2 * j] = static_cast<int8_t>(c.at[i][j] - diagonal);
        h.at[2 * i + 1][2 * j + 1] = static_cast<int8_t>(-c.at[i][j] - diagonal);
      }
    }
    return h;
  }

  static constexpr Signs kSigns = make_signs();
  static constexpr Matrix kHadamard12 = make_hadamard(12);
  static constexpr Matrix kHadamard20 = make_hadamard(20);
  static constexpr Matrix kHadamard28 = make_hadamard(28);

  /// The orthonormal transform, or its transpose.
  template <bool Transposed>
  static void transform(float* x, int d) {
    const int order = hadamard_order(d);
    const int p = d / order;
    for (int row = 0; row < order; ++row) walsh_hadamard(x + row * p, p);
    if (order == 12) mix_rows<Transposed, 12>(kHadamard12, x, p);
    if (order == 20) mix_rows<Transposed, 20>(kHadamard20, x, p);
    if (order == 28) mix_rows<Transposed, 28>(kHadamard28, x, p);
    const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(d));
    for (int i = 0; i < d; ++i) x[i] *= scale;
  }

  static void walsh_hadamard(float* x, int p) {
    for (int half = 1; half < p; half *= 2) {
      for (int begin = 0; begin < p; begin += 2 * half) {
        for (int i = begin; i < begin + half; ++i) {
          const float a = x[i];
          const float b = x[i + half];
          x[i] = a + b;
          x[i + half] = a - b;
        }
      }
    }
  }

  /// Multiplies each column of x [Order][p] by the matrix.
  template <bool Transposed, int Order>
  static void mix_rows(const Matrix& matrix, float* x, int p) {
    for (int column = 0; column < p; ++column) {
      float mixed[Order];
      for (int i = 0; i < Order; ++i) {
        float sum = 0.0f;
        for (int j = 0; j < Order; ++j) {
          const int sign = Transposed ? matrix.at[j][i] : matrix.at[i][j];
          sum += static_cast<float>(sign) * x[j * p + column];
        }
        mixed[i] = sum;
      }
      for (int i = 0; i < Order; ++i) x[i * p + column] = mixed[i];
    }
  }
};

}  // namespace quant
