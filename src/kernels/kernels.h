// The table of hot functions of one instruction set. All tables give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/kv/kv_format.h"
#include "formats/weight/weight_format.h"
#include "quant/cpu.h"
#include "quant/kv_spec.h"
#include "quant/model.h"
#include "simd/fetch.h"

namespace quant {

/// The largest value, the sum of exp(x - maximum), and where the maximum first occurs.
struct LogSumExpPart {
  float maximum;
  double sum;
  std::int32_t argmax;
};

/// All lengths n are multiples of 16 unless said otherwise.
struct Kernels {
  Isa isa;
  const WeightKernels* weights;  // [n_weights], found by weight_kernels()
  int n_weights;
  const KvKernels* kv;  // [number of KvTypes], indexed by KvType

  /// out = x / sqrt(mean(x²) + eps) · weight. In and out may be the same.
  void (*rms_norm)(const float* x, const float* weight, float eps, int n, float* out);
  /// Rotates the first n_rot coordinates of x in place; cos and sin hold n_rot / 2 values. Any even
  /// n_rot.
  void (*rope)(float* x, const float* cos, const float* sin, int n_rot, RopeStyle style);
  /// x += y.
  void (*add)(float* x, const float* y, int n);
  /// x *= factor.
  void (*scale)(float* x, float factor, int n);
  /// gate = activation(gate)·up.
  void (*gated_activation)(float* gate, const float* up, int n, Activation activation);
  /// x = cap·tanh(x / cap).
  void (*softcap)(float* x, float cap, int n);
  /// Replaces each of `rows` lists, x [rows][stride] with n entries, by exp(x)·2^-exponent and
  /// gives the exponent and the sum of each. The exponent is an integer and the largest weight
  /// about √½ to √2, so that the weights of several lists become relative to the same number
  /// without rounding. Weights up to about 2^-126.5 become exactly 0, as do those of -inf. Sums are
  /// FP32. At least one entry of a list must be finite, and none beyond 2e38, where exponents end.
  /// Asks memory for `fetch` meanwhile.
  void (*softmax_part)(float* x, std::size_t stride, int rows, int n, float* exponent, float* sum,
                       const Fetch& fetch);
  /// acc = acc·a + part·b.
  void (*merge)(float* acc, float a, const float* part, float b, int n);
  /// Over n logits (any n >= 1); products of the sum are FP32 within 16, double across.
  LogSumExpPart (*log_sum_exp_part)(const float* logits, int n);
  /// Σ w·(a - b) over any n >= 1; the sum is FP32 within 16, double across.
  double (*weighted_difference)(const float* w, const float* a, const float* b, int n);
  /// Inputs of one group of FloatInputs; the last group may have fewer.
  int float_group;
  /// Makes a group: x [g][cols] to out [cols][g]. cols is a multiple of 16, g at most float_group.
  void (*interleave)(const float* x, int g, std::int64_t cols, float* out);
  /// Inputs of one group of Int8Inputs; the last group may have fewer.
  int int8_group;
  /// Columns of an input of such a group that lie beside each other; a divisor of 32.
  int int8_columns;
  /// Quantizes a group: x [g][cols] in blocks of 32, scale = max|x| / 127, q = nearest(x / scale).
  /// cols is a multiple of 32, g at most int8_group.
  void (*quantize_int8)(const float* x, int g, int cols, const Int8Group& out);
  /// How many bytes ahead of its use a stream of packed weights is fetched.
  std::size_t fetch_ahead;
  /// n steps of independent products that need no memory beyond the L1 cache, to measure the peak
  /// of the machine, and the products of a step. The result only keeps the work alive.
  float (*float_burst)(std::int64_t n);
  int float_burst_products;
  float (*int8_burst)(std::int64_t n);
  int int8_burst_products;
};

/// The kernels of an available instruction set; see available_isas().
const Kernels& kernels_for(Isa isa);
/// The kernels of a weight type; every supported TensorType has one.
const WeightKernels& weight_kernels(const Kernels& kernels, TensorType type);
inline const KvKernels& kv_kernels(const Kernels& kernels, KvType type) {
  return kernels.kv[static_cast<int>(type)];
}

}  // namespace quant
