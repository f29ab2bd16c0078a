// The table of KV kernels of one instruction set, derived from the registry.
#pragma once

#include "formats/kv/all.h"
#include "simd/panel.h"

namespace quant {

template <class S, class Format>
struct KvFunctions {
  static void decode(const uint8_t* row, int d, float* out) {
    for (int j = 0; j < d; j += 16) S::store(out + j, Format::decode16(row, d, j));
    finish_value(out, d);
  }

  static void prepare_query(const float* query, int d, float* out) {
    memmove(out, query, static_cast<size_t>(d) * sizeof(float));
    if constexpr (requires { Format::rotate(out, d); }) Format::rotate(out, d);
  }

  static void finish_value(float* acc, int d) {
    if constexpr (requires { Format::unrotate(acc, d); }) Format::unrotate(acc, d);
  }

  static void score(const uint8_t* rows, int n, int d, const float* queries, int n_queries,
                    float* scores, size_t scores_stride) {
    alignas(64) float tile[kKvMaxHeadDim * 16];  // [d][16], lane = position
    const size_t query_stride = static_cast<size_t>(d);
    for (int i = 0; i < n; i += 16) {
      const uint8_t* first = rows + static_cast<size_t>(i) * Format::row_bytes(d);
      const int lanes = n - i < 16 ? n - i : 16;
      fill_tile(first, lanes, d, tile);
      if (lanes == 16) {
        panel_product<S, false>(queries, query_stride, n_queries, d, tile, 16, scores + i,
                                scores_stride);
        continue;
      }
      for (int h = 0; h < n_queries; ++h) {
        alignas(64) float part[16];
        panel_product<S, false>(queries + static_cast<size_t>(h) * query_stride, query_stride, 1, d,
                                tile, 16, part, 16);
        S::store_partial(scores + static_cast<size_t>(h) * scores_stride + i, S::load(part), lanes);
      }
    }
  }

  static void accumulate(const uint8_t* rows, int n, int d, const float* weights,
                         size_t weights_stride, int n_queries, float* acc) {
    constexpr int kRows = 64;  // decoded at a time: 4 KiB of the L1 cache
    alignas(64) float panel[kRows * 16];
    const size_t row_bytes = Format::row_bytes(d);
    for (int i = 0; i < n; i += kRows) {
      const uint8_t* first = rows + static_cast<size_t>(i) * row_bytes;
      const int count = n - i < kRows ? n - i : kRows;
      for (int j = 0; j < d; j += 16) {
        for (int r = 0; r < count; ++r) {
          const uint8_t* row = first + static_cast<size_t>(r) * row_bytes;
          S::store(panel + 16 * r, Format::decode16(row, d, j));
        }
        panel_product<S, true>(weights + i, weights_stride, n_queries, count, panel, 16, acc + j,
                               static_cast<size_t>(d));
      }
    }
  }

 private:
  /// tile[j][r] = coordinate j of row r; lanes beyond the rows repeat the last one.
  static void fill_tile(const uint8_t* rows, int lanes, int d, float* tile) {
    const size_t row_bytes = Format::row_bytes(d);
    for (int j = 0; j < d; j += 16) {
      typename S::F32x16 block[16];
      for (int r = 0; r < 16; ++r) {
        const size_t row = static_cast<size_t>(r < lanes ? r : lanes - 1);
        block[r] = Format::decode16(rows + row * row_bytes, d, j);
      }
      S::transpose(block);
      for (int r = 0; r < 16; ++r) S::store(tile + (j + r) * 16, block[r]);
    }
  }
};

template <class S, class Format>
constexpr KvKernels kv_kernels_of() {
  using Functions = KvFunctions<S, Format>;
  return {.encode = Format::encode,
          .decode = Functions::decode,
          .prepare_query = Functions::prepare_query,
          .score = Functions::score,
          .accumulate = Functions::accumulate,
          .finish_value = Functions::finish_value};
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
