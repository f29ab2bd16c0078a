// The table of KV kernels of one instruction set, derived from the registry.
#pragma once

#include "formats/kv/all.h"
#include "formats/kv/kv_format.h"
#include "kernels/panel.h"

namespace quant {

template <class S, class Format>
struct KvFunctions {
  static void decode(const uint8_t* row, int d, float* out) {
    for (int j = 0; j < d; j += 16) S::store(out + j, Format::decode16(row, d, j));
    Format::unrotate(out, d);
  }

  static void prepare_query(const float* query, int d, float* out) {
    memmove(out, query, static_cast<size_t>(d) * sizeof(float));
    Format::rotate(out, d);
  }

  static void score(const uint8_t* rows, int n, int d, const float* queries, int n_queries,
                    float* scores, size_t scores_stride) {
    alignas(64) float tile[kMaxHeadDim * 16];
    const size_t row_bytes = Format::row_bytes(d);
    for (int begin = 0; begin < n; begin += 16) {
      const int count = n - begin < 16 ? n - begin : 16;
      fill_transposed(rows + static_cast<size_t>(begin) * row_bytes, count, d, tile);
      if (count == 16) {
        panel_product<S, false>(queries, static_cast<size_t>(d), n_queries, d, tile, 16,
                                scores + begin, scores_stride);
        continue;
      }
      for (int h = 0; h < n_queries; ++h) {
        float lanes[16];
        panel_product<S, false>(queries + h * d, static_cast<size_t>(d), 1, d, tile, 16, lanes, 16);
        S::store_partial(scores + static_cast<size_t>(h) * scores_stride + begin, S::load(lanes),
                         count);
      }
    }
  }

  static void accumulate(const uint8_t* rows, int n, int d, const float* weights,
                         size_t weights_stride, int n_queries, float* acc) {
    alignas(64) float tile[kTileRows * 16];
    const size_t row_bytes = Format::row_bytes(d);
    for (int begin = 0; begin < n; begin += kTileRows) {
      const int count = n - begin < kTileRows ? n - begin : kTileRows;
      for (int j = 0; j < d; j += 16) {
        for (int i = 0; i < count; ++i) {
          const uint8_t* row = rows + static_cast<size_t>(begin + i) * row_bytes;
          S::store(tile + i * 16, Format::decode16(row, d, j));
        }
        panel_product<S, true>(weights + begin, weights_stride, n_queries, count, tile, 16, acc + j,
                               static_cast<size_t>(d));
      }
    }
  }

  static constexpr KvKernels table() {
    return {Format::encode, decode, prepare_query, score, accumulate, Format::unrotate};
  }

 private:
  static constexpr int kTileRows = 256;

  /// tile[j][i] = value j of row i; rows beyond count repeat the last one.
  static void fill_transposed(const uint8_t* rows, int count, int d, float* tile) {
    const size_t row_bytes = Format::row_bytes(d);
    for (int j = 0; j < d; j += 16) {
      typename S::F32x16 block[16];
      for (int i = 0; i < 16; ++i) {
        const size_t row = static_cast<size_t>(i < count ? i : count - 1);
        block[i] = Format::decode16(rows + row * row_bytes, d, j);
      }
      S::transpose(block);
      for (int i = 0; i < 16; ++i) S::store(tile + (j + i) * 16, block[i]);
    }
  }
};

/// An array, without std::array: see simd/scalar.h.
template <class S>
struct KvKernelArray {
  KvKernels entry[AllKvFormats<S>::kCount];
};

template <class S, class... Formats>
constexpr KvKernelArray<S> kv_kernel_array(KvFormatList<Formats...>) {
  return {{KvFunctions<S, Formats>::table()...}};
}

template <class S>
constexpr KvKernelArray<S> make_kv_kernels() {
  return kv_kernel_array<S>(AllKvFormats<S>{});
}

}  // namespace quant
