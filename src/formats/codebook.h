// Lloyd-Max codebooks of the standard normal distribution (Lloyd 1982, Max 1960).
#pragma once

namespace quant {

/// Centroids in ascending order; tests/formats/codebook_test.cpp recomputes them. Mean squared
/// errors: 0.1175, 0.03455, 0.009501 at 2, 3 and 4 bits.
template <class S, int Bits>
struct GaussianCodebook;

template <class S>
struct GaussianCodebook<S, 2> {
  static constexpr float kCentroids[16] = {-1.5104176085f, -0.452780034636f, 0.452780034636f,
                                           1.5104176085f};
};

template <class S>
struct GaussianCodebook<S, 3> {
  static constexpr float kCentroids[16] = {-2.15194570454f,  -1.34390927851f, -0.756005281206f,
                                           -0.245094178944f, 0.245094178944f, 0.756005281206f,
                                           1.34390927851f,   2.15194570454f};
};

template <class S>
struct GaussianCodebook<S, 4> {
  static constexpr float kCentroids[16] = {
      -2.732589571f,    -2.06901722653f,  -1.61804638602f, -1.25623119735f,
      -0.942340456487f, -0.656759118532f, -0.38804829949f, -0.128395029851f,
      0.128395029851f,  0.38804829949f,   0.656759118532f, 0.942340456487f,
      1.25623119735f,   1.61804638602f,   2.06901722653f,  2.732589571f};
};

}  // namespace quant
