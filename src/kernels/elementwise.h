// The kernels of kernels.h that are neither weight products nor KV formats, written once on the
// vector vocabulary. Included only by kernels/isa_*.cpp.
#pragma once

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

namespace quant {

template <class S>
struct Elementwise {
  using F = typename S::F32x16;

  /// exp(x) for x up to 88, within 2 ulp from -87 on; smaller x give about 1e-38, NaN gives NaN.
  /// Cody-Waite reduction to |r| <= ln(2) / 2 and 1 + r + r²·p(r) with p of degree 4, which errs by
  /// 4e-9.
  static F exp(F x) {
    x = S::max(S::set1(-87.0f), x);  // in this order NaN passes
    // The sum has no bits left for a fraction, and so rounds.
    const F integers = S::set1(0x1.8p23f);
    const F t = S::fma(x, S::set1(1.44269504088896341f), integers);
    const F n = S::sub(t, integers);
    F r = S::fma(n, S::set1(-0.693359375f), x);
    r = S::fma(n, S::set1(2.12194440e-4f), r);
    F p = S::set1(1.3814539e-3f);
    p = S::fma(p, r, S::set1(8.3687454e-3f));
    p = S::fma(p, r, S::set1(4.1668389e-2f));
    p = S::fma(p, r, S::set1(1.66665211e-1f));
    p = S::fma(p, r, S::set1(4.9999994e-1f));
    p = S::fma(p, S::mul(r, r), S::add(r, S::set1(1.0f)));
    return S::scale_by_power_of_two(p, t);
  }

  /// 2^x for x up to 127, within 1 ulp from -126 on; about 2^-126.5 and less give 0, NaN gives NaN.
  /// A polynomial of degree 6 on |r| <= 1/2, which errs by 2e-9.
  static F exp2(F x) {
    x = S::max(S::set1(-127.0f), x);  // in this order NaN passes
    const F integers = S::set1(0x1.8p23f);
    const F t = S::add(x, integers);
    const F r = S::sub(x, S::sub(t, integers));
    F p = S::set1(1.53458080e-4f);
    p = S::fma(p, r, S::set1(1.33999309e-3f));
    p = S::fma(p, r, S::set1(9.61848907e-3f));
    p = S::fma(p, r, S::set1(5.55032864e-2f));
    p = S::fma(p, r, S::set1(2.40226462e-1f));
    p = S::fma(p, r, S::set1(6.93147182e-1f));
    p = S::fma(p, r, S::set1(1.0f));
    return S::scale_by_power_of_two(p, t);
  }

  static F sigmoid(F x) {
    const F one = S::set1(1.0f);
    const F most = S::set1(88.0f);  // of exp; in this order NaN passes
    return S::div(one, S::add(one, exp(S::min(most, S::sub(S::zero(), x)))));
  }

  /// tanh by the sigmoid, and by its odd Taylor series where that would cancel.
  static F tanh(F x) {
    const F by_sigmoid = S::sub(S::mul(S::set1(2.0f), sigmoid(S::add(x, x))), S::set1(1.0f));
    const F square = S::mul(x, x);
    F p = S::set1(62.0f / 2835.0f);
    p = S::fma(p, square, S::set1(-17.0f / 315.0f));
    p = S::fma(p, square, S::set1(2.0f / 15.0f));
    p = S::fma(p, square, S::set1(-1.0f / 3.0f));
    p = S::fma(S::mul(p, square), x, x);
    return S::select_less(S::abs(x), S::set1(0.15f), p, by_sigmoid);
  }

  static void rms_norm(const float* x, const float* weight, float eps, int n, float* out) {
    F squares = S::zero();
    for (int i = 0; i < n; i += 16) {
      const F v = S::load(x + i);
      squares = S::fma(v, v, squares);
    }
    const float mean = S::reduce_add(squares) / static_cast<float>(n);
    const F factor = S::set1(1.0f / __builtin_sqrtf(mean + eps));
    for (int i = 0; i < n; i += 16) {
      S::store(out + i, S::mul(S::mul(S::load(x + i), factor), S::load(weight + i)));
    }
  }

  static void rope(float* x, const float* cos, const float* sin, int n_rot, RopeStyle style) {
    const int half = n_rot / 2;
    const int step = style == RopeStyle::kNeoX ? 1 : 2;
    float* first = x;
    float* second = style == RopeStyle::kNeoX ? x + half : x + 1;
    for (int i = 0; i < half; ++i) {
      const float a = first[i * step];
      const float b = second[i * step];
      first[i * step] = a * cos[i] - b * sin[i];
      second[i * step] = a * sin[i] + b * cos[i];
    }
  }

  static void add(float* x, const float* y, int n) {
    for (int i = 0; i < n; i += 16) S::store(x + i, S::add(S::load(x + i), S::load(y + i)));
  }

  static void scale(float* x, float factor, int n) {
    for (int i = 0; i < n; i += 16) S::store(x + i, S::mul(S::load(x + i), S::set1(factor)));
  }

  static void gated_activation(float* gate, const float* up, int n, Activation activation) {
    for (int i = 0; i < n; i += 16) {
      const F x = S::load(gate + i);
      const F act = activation == Activation::kSilu ? S::mul(x, sigmoid(x)) : gelu_tanh(x);
      S::store(gate + i, S::mul(act, S::load(up + i)));
    }
  }

  static void softcap(float* x, float cap, int n) {
    for (int i = 0; i < n; i += 16) {
      S::store(x + i, S::mul(S::set1(cap), tanh(S::div(S::load(x + i), S::set1(cap)))));
    }
  }

  static void softmax_part(float* x, size_t stride, int rows, int n, float* exponent, float* sum,
                           const Fetch& fetch) {
    constexpr int R = S::kSoftmaxRows;
    // One a vector; finding the maxima takes a few of them.
    FetchSteps ahead(fetch, static_cast<size_t>((rows + R - 1) / R * (n / 16) + n / 64));
    int row = 0;
    for (; row + R <= rows; row += R) {
      softmax_rows<R>(x + static_cast<size_t>(row) * stride, stride, n, exponent + row, sum + row,
                      ahead);
    }
    for (; row < rows; ++row) {
      softmax_rows<1>(x + static_cast<size_t>(row) * stride, stride, n, exponent + row, sum + row,
                      ahead);
    }
  }

  static void merge(float* acc, float a, const float* part, float b, int n) {
    for (int i = 0; i < n; i += 16) {
      const F scaled = S::mul(S::load(part + i), S::set1(b));
      S::store(acc + i, S::fma(S::load(acc + i), S::set1(a), scaled));
    }
  }

  static LogSumExpPart log_sum_exp_part(const float* logits, int n) {
    LogSumExpPart part{logits[0], 0.0, 0};
    int i = 0;
    for (; i + 16 <= n; i += 16) {
      const float top = S::reduce_max(S::load(logits + i));
      if (top > part.maximum || i == 0) {
        part.maximum = top;
        part.argmax = i;  // the first of these sixteen; made exact below
      }
    }
    for (int j = i; j < n; ++j) {
      if (logits[j] > part.maximum) {
        part.maximum = logits[j];
        part.argmax = j;
      }
    }
    // A value that is not finite leaves no equal entry behind; stay inside the row then.
    while (part.argmax < n - 1 && logits[part.argmax] != part.maximum) ++part.argmax;
    const F shift = S::set1(part.maximum);
    for (int j = 0; j < i; j += 16) {
      part.sum += static_cast<double>(S::reduce_add(exp(S::sub(S::load(logits + j), shift))));
    }
    if (i < n) {
      float rest[16];
      for (int j = 0; j < 16; ++j) rest[j] = i + j < n ? logits[i + j] : -FLT_MAX;
      S::store(rest, exp(S::sub(S::load(rest), shift)));
      for (int j = 0; i + j < n; ++j) part.sum += static_cast<double>(rest[j]);
    }
    return part;
  }

  static double weighted_difference(const float* w, const float* a, const float* b, int n) {
    double sum = 0.0;
    int i = 0;
    for (; i + 16 <= n; i += 16) {
      const F difference = S::sub(S::load(a + i), S::load(b + i));
      sum += static_cast<double>(S::reduce_add(S::mul(S::load(w + i), difference)));
    }
    for (; i < n; ++i) sum += static_cast<double>(w[i] * (a[i] - b[i]));
    return sum;
  }

 private:
  /// R lists side by side: each alone waits for its reductions.
  template <int R>
  static void softmax_rows(float* x, size_t stride, int n, float* exponent, float* sum,
                           FetchSteps& ahead) {
    F top[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) top[r] = S::load(x + r * stride);
    for (int i = 16; i < n; i += 16) {
      ahead.lines(1);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) top[r] = S::max(S::load(x + r * stride + i), top[r]);
    }
    const F log2_e = S::set1(1.44269504088896341f);
    F maximum[R];
    F shift[R];  // by so much the maximum lies above the power of two
    F total[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const float largest = S::reduce_max(top[r]);
      exponent[r] = __builtin_rintf(largest * 1.44269504088896341f);
      maximum[r] = S::set1(largest);
      shift[r] = S::fma(maximum[r], log2_e, S::set1(-exponent[r]));
      shift[r] = S::fma(maximum[r], S::set1(1.92596299e-8f), shift[r]);  // the rest of log2(e)
      // Of numbers in the millions, which have no fraction, only what was rounded away is left.
      shift[r] = S::max(S::min(S::set1(0.75f), shift[r]), S::set1(-0.75f));
      total[r] = S::zero();
    }
    for (int i = 0; i < n; i += 16) {
      ahead.step();
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const F below = S::sub(S::load(x + r * stride + i), maximum[r]);
        const F e = exp2(S::fma(below, log2_e, shift[r]));
        S::store(x + r * stride + i, e);
        total[r] = S::add(total[r], e);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) sum[r] = S::reduce_add(total[r]);
  }

  /// 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), Hendrycks and Gimpel, arXiv 1606.08415; written as
  /// x·sigmoid(2·…), which is the same.
  static F gelu_tanh(F x) {
    const F cube = S::mul(S::mul(x, x), x);
    const F inner = S::fma(S::set1(0.044715f), cube, x);
    return S::mul(x, sigmoid(S::mul(S::set1(1.5957691216057308f), inner)));
  }
};

}  // namespace quant
