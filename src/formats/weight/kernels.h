// The table of weight kernels of one instruction set, derived from the registry.
#pragma once

#include "formats/weight/all.h"
#include "formats/weight/product.h"
#include "formats/weight/product_int8.h"
#include "formats/weight/product_int8_tiles.h"

namespace quant {

template <class S, class Format>
constexpr WeightKernels float_weight_kernels() {
  using Panel = FloatPanel<S, Format>;
  using Product = FloatProduct<S, Panel>;
  return {Format::kType, Product::decode_row, Panel::panel_bytes,
          Panel::pack,   Product::product,    nullptr};
}

template <class S, class Format>
constexpr auto int8_product() {
  if constexpr (HasTiles<S>) {
    return Int8TileProduct<S, Format>::product;
  } else {
    return Int8Product<S, Format>::product;
  }
}

template <class S, class Format>
constexpr WeightKernels quantized_weight_kernels() {
  using Panel = CodePanel<S, Format>;
  using Product = FloatProduct<S, Panel>;
  return {Format::kType, Product::decode_row, Panel::panel_bytes,
          Panel::pack,   Product::product,    int8_product<S, Format>()};
}

/// An array, without std::array: see simd/scalar.h.
template <class S>
struct WeightKernelArray {
  WeightKernels entry[FloatWeights<S>::kCount + QuantizedWeights<S>::kCount];
};

template <class S, class... Floats, class... Quantized>
constexpr WeightKernelArray<S> weight_kernel_array(WeightFormatList<Floats...>,
                                                   WeightFormatList<Quantized...>) {
  return {{float_weight_kernels<S, Floats>()..., quantized_weight_kernels<S, Quantized>()...}};
}

template <class S>
constexpr WeightKernelArray<S> make_weight_kernels() {
  return weight_kernel_array<S>(FloatWeights<S>{}, QuantizedWeights<S>{});
}

}  // namespace quant
