// Builds the kernel table of one instruction set. Included only by kernels/isa_*.cpp.
#pragma once

#include "formats/kv/kernels.h"
#include "formats/weight/kernels.h"
#include "formats/weight/quantize_int8.h"
#include "kernels/burst.h"
#include "kernels/elementwise.h"
#include "kernels/kernels.h"

namespace quant {

template <class S>
struct KernelTable {
  static constexpr auto kWeights = make_weight_kernels<S>();
  static constexpr auto kKv = make_kv_kernels<S>();
  static constexpr Kernels make(Isa isa) {
    using E = Elementwise<S>;
    return {.isa = isa,
            .weights = kWeights.entry,
            .n_weights = static_cast<int>(sizeof kWeights.entry / sizeof kWeights.entry[0]),
            .kv = kKv.entry,
            .rms_norm = E::rms_norm,
            .rope = E::rope,
            .add = E::add,
            .scale = E::scale,
            .gated_activation = E::gated_activation,
            .softcap = E::softcap,
            .softmax_part = E::softmax_part,
            .merge = E::merge,
            .log_sum_exp_part = E::log_sum_exp_part,
            .weighted_difference = E::weighted_difference,
            .float_group = S::kFloatRows,
            .interleave = FloatGroups<S>::interleave,
            .int8_group = S::kInt8Rows,
            .int8_columns = S::kInt8Columns,
            .quantize_int8 = QuantizeInt8<S>::quantize,
            .fetch_ahead = S::kFetchAhead,
            .float_burst = FloatBurst<S>::run,
            .float_burst_products = FloatBurst<S>::kProducts,
            .int8_burst = Int8Burst<S>::run,
            .int8_burst_products = Int8Burst<S>::kProducts};
  }
};

}  // namespace quant
