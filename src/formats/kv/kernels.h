// The table of KV kernels of one instruction set, derived from the registry.
#pragma once

#include "formats/kv/accumulate.h"
#include "formats/kv/accumulate_int16.h"
#include "formats/kv/accumulate_int8.h"
#include "formats/kv/all.h"
#include "formats/kv/score_int16.h"
#include "formats/kv/score_int8.h"
#include "formats/kv/score_plain.h"
#include "simd/fetch.h"
#include "simd/panel.h"

namespace quant {

template <class S, class Format>
struct KvFunctions {
  using Panel = KvKeyPanel<S, Format>;

  static void decode(const uint8_t* row, int d, float* out) {
    for (int j = 0; j < d; j += 16) {
      auto values = Format::values16(row, d, j);
      if constexpr (KvWithGain<Format>)
        values = S::mul(values, S::set1(KvRow<S>::get_half(Format::gain(row))));
      S::store(out + j, values);
    }
    finish_value(out, d);
  }

  static void prepare_query(const float* query, int d, float* out) {
    memmove(out, query, static_cast<size_t>(d) * sizeof(float));
    if constexpr (requires { Format::rotate(out, d); }) Format::rotate(out, d);
  }

  static void finish_value(float* acc, int d) {
    if constexpr (requires { Format::unrotate(acc, d); }) Format::unrotate(acc, d);
  }

  /// Rows of floats lie as they are, keys and values alike.
  static void put_plain(const uint8_t* row, int d, int64_t slot, uint8_t* panels) {
    memcpy(panels + static_cast<size_t>(slot) * Format::row_bytes(d), row, Format::row_bytes(d));
  }
  static void take_plain(const uint8_t* panels, int d, int64_t slot, uint8_t* row) {
    memcpy(row, panels + static_cast<size_t>(slot) * Format::row_bytes(d), Format::row_bytes(d));
  }

  static void score(const uint8_t* panels, int n, int d, const float* queries, int n_queries,
                    float* scores, size_t scores_stride, const Fetch& fetch) {
    FetchSteps ahead(fetch, static_cast<size_t>((n + 15) / 16 * (d / 16)));
    if constexpr (!KvInPanels<Format>) {
      if (n_queries <= KvScorePlain<S, Format>::kMostQueries) {
        KvScorePlain<S, Format>::score(panels, n, d, queries, n_queries, scores, scores_stride,
                                       ahead);
        return;
      }
    }
    alignas(64) float tile[kKvMaxHeadDim * 16];  // [d][16], lane = position
    const size_t query_stride = static_cast<size_t>(d);
    for (int i = 0; i < n; i += 16) {
      const int lanes = n - i < 16 ? n - i : 16;
      fill_tile(panels, i, lanes, d, tile, ahead);
      if (lanes == 16) {
        panel_product<S, false>(RowMajor{queries, query_stride}, n_queries, d, tile, 16, scores + i,
                                scores_stride);
      } else {
        for (int h = 0; h < n_queries; ++h) {
          alignas(64) float part[16];
          panel_rows<S, 1, false>(RowMajor{queries, query_stride}.from(h), d, tile, 16, part, 16);
          S::store_partial(scores + static_cast<size_t>(h) * scores_stride + i, S::load(part),
                           lanes);
        }
      }
      if constexpr (KvWithGain<Format>)
        Panel::multiply_by_gains(Panel::rows_at(panels, d, i), lanes, n_queries, scores + i,
                                 scores_stride);
    }
  }

 private:
  /// tile[j][r] = coordinate j of row i + r; lanes beyond the rows may hold anything.
  static void fill_tile(const uint8_t* panels, int i, int lanes, int d, float* tile,
                        FetchSteps& ahead) {
    for (int j = 0; j < d; j += 16) {
      ahead.step();
      typename S::F32x16 block[16];
      if constexpr (KvInPanels<Format>) {
        Panel::values16(Panel::rows_at(panels, d, i), j, block);
      } else {
        for (int r = 0; r < 16; ++r) {
          const auto row = static_cast<size_t>(i + (r < lanes ? r : lanes - 1));
          block[r] = Format::values16(panels + row * Format::row_bytes(d), d, j);
        }
        S::transpose(block);
      }
      for (int r = 0; r < 16; ++r) S::store(tile + (j + r) * 16, block[r]);
    }
  }
};

template <class S, class Format>
constexpr KvKernels kv_kernels_of() {
  using Functions = KvFunctions<S, Format>;
  KvKernels kernels{.encode = Format::encode,
                    .decode = Functions::decode,
                    .put_key = Functions::put_plain,
                    .take_key = Functions::take_plain,
                    .put_value = Functions::put_plain,
                    .take_value = Functions::take_plain,
                    .prepare_query = Functions::prepare_query,
                    .score = Functions::score,
                    .prepare_query_int = nullptr,
                    .score_int = nullptr,
                    .accumulate = KvAccumulate<S, Format>::run,
                    .accumulate_int = nullptr,
                    .finish_value = Functions::finish_value};
  if constexpr (KvInPanels<Format>) {
    kernels.put_key = KvKeyPanel<S, Format>::put;
    kernels.take_key = KvKeyPanel<S, Format>::take;
    kernels.put_value = KvValuePanel<S, Format>::put;
    kernels.take_value = KvValuePanel<S, Format>::take;
    kernels.prepare_query_int = KvScoreInt8<S, Format>::prepare;
    kernels.score_int = KvScoreInt8<S, Format>::score;
    kernels.accumulate_int = KvAccumulateInt8<S, Format>::run;
  } else if constexpr (Format::kType == KvType::kFp16) {
    kernels.prepare_query_int = KvScoreInt16<S, Format>::prepare;
    kernels.score_int = KvScoreInt16<S, Format>::score;
    kernels.accumulate_int = KvAccumulateInt16<S, Format>::run;
  }
  return kernels;
}

/// An array, without std::array: see simd/scalar.h.
template <class S>
struct KvKernelArray {
  KvKernels entry[KvFormats<S>::kCount];
};

template <class S, class... Formats>
constexpr KvKernelArray<S> kv_kernel_array(KvFormatList<Formats...>) {
  int expected = 0;
  const bool in_order = ((static_cast<int>(Formats::kType) == expected++) && ...);
  // Not constant, and so a compile error, if the registry is out of order.
  return in_order ? KvKernelArray<S>{{kv_kernels_of<S, Formats>()...}} : throw "KvType order";
}

template <class S>
constexpr KvKernelArray<S> make_kv_kernels() {
  return kv_kernel_array<S>(KvFormats<S>{});
}

}  // namespace quant
