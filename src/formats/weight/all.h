// The registry of weight formats: adding one is a header and a line here.
#pragma once

#include "formats/weight/blocks256.h"
#include "formats/weight/blocks32.h"
#include "formats/weight/plain.h"

namespace quant {

template <class... Formats>
struct WeightFormatList {
  static constexpr int kCount = sizeof...(Formats);
};

template <class S>
using QuantizedWeights =
    WeightFormatList<WeightQ4_0<S>, WeightQ4_1<S>, WeightQ5_0<S>, WeightQ5_1<S>, WeightQ8_0<S>,
                     WeightQ2K<S>, WeightQ3K<S>, WeightQ4K<S>, WeightQ5K<S>, WeightQ6K<S>,
                     WeightIq4Nl<S>, WeightIq4Xs<S>>;
template <class S>
using FloatWeights = WeightFormatList<WeightF32<S>, WeightF16<S>, WeightBf16<S>>;

}  // namespace quant
