// What a KV format is to the rest of the engine: functions on packed rows, one set an ISA.
//
// A format is a class template on the ISA tag (formats/kv/NAME.h) with
//   kType, kName, kSummary;
//   supports(d): whether rows can have d values;
//   row_bytes(d): bytes of a row;
//   encode(row, d, out): see below;
//   values16(row, d, j): values j to j + 15, j a multiple of 16, in the basis of the codes;
//   gain(row), where all values of a row have a common fp16 factor: its address;
//   values16 is without it;
//   rotate(x, d), unrotate(x, d), where that basis is not the row's own: there and back, in place;
// and, where the codes are integers,
//   kBits, kHeader, kBlock, value, zero: what kv/panel.h asks for;
//   int8(codes): what codes stand for as multiples of kInt8Unit and the scale;
//   weights(codes): int8(codes) as S::dot4 takes them;
//   kInt8Most: int8 gives [0, kInt8Most], or [-127, 127] where that is 0;
//   kInt8Unit: what an int8 code of 1 stands for under a scale of 1.
// kv/kernels.h derives the functions below from those. A row is one position of one KV head; d is
// its head_dim, a multiple of 16 from 16 to 512.
//
// Rows of a head lie in panels of kKvPanelRows. A panel of plain rows is those rows, row_bytes(d)
// apart; one of integer codes is as kv/panel.h says, and not the same for keys and for values.
// Functions on many rows begin at a panel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/fetch.h"

namespace quant {

inline constexpr int kKvMaxHeadDim = 512;
inline constexpr int kKvPanelRows = 32;
/// Rows that attention works on together.
inline constexpr int kKvChunkRows = 256;

/// Queries in integers, in the basis and order of a format's codes. A block is what shares a scale
/// in the format; arrays have room for d / 16 of them a query.
struct KvIntQueries {
  void* codes;        // [n_queries][d] of int8; of int16, d rounded up to 32, for rows of fp16
  float* scale;       // [n_queries][d / 16]
  std::int32_t* sum;  // [n_queries][d / 16], Σ codes of a block
  float* total;       // [n_queries][d / 16], Σ of the query itself over a block
};

/// Room for the codes of n queries, of either kind.
constexpr std::size_t kv_code_bytes(int n, int d) {
  return static_cast<std::size_t>(n) * static_cast<std::size_t>((d + 31) / 32 * 64);
}

struct KvKernels {
  /// Packs row [d] into row_bytes(d) bytes, the same bytes on every ISA. False, with `out`
  /// unspecified, if a value is not finite or a scale does not fit fp16.
  bool (*encode)(const float* row, int d, std::uint8_t* out);
  /// Unpacks to [d] in the row's own basis.
  void (*decode)(const std::uint8_t* row, int d, float* out);
  /// Stores a packed row as row `slot` of contiguous panels, and reads it back. Rows of a panel of
  /// values share bytes: one thread at a time puts them.
  void (*put_key)(const std::uint8_t* row, int d, std::int64_t slot, std::uint8_t* panels);
  void (*take_key)(const std::uint8_t* panels, int d, std::int64_t slot, std::uint8_t* row);
  void (*put_value)(const std::uint8_t* row, int d, std::int64_t slot, std::uint8_t* panels);
  void (*take_value)(const std::uint8_t* panels, int d, std::int64_t slot, std::uint8_t* row);
  /// Takes a query [d] into the basis of the codes. In and out may be the same.
  void (*prepare_query)(const float* query, int d, float* out);
  /// scores[h·scores_stride + i] = Σ_j decode(row i)[j]·queries[h·d + j] in the codes' basis, for n
  /// keys and n_queries prepared queries; each row is decoded once for all of them. The sum over j
  /// ascends with one fma a step, so a score depends on nothing but its row and its query. Asks
  /// memory for `fetch` meanwhile.
  void (*score)(const std::uint8_t* panels, int n, int d, const float* queries, int n_queries,
                float* scores, std::size_t scores_stride, const Fetch& fetch);
  /// Rounds a query [d] to integers in the basis of the codes: entry `row` of the queries. Null,
  /// like all *_int, where rows are multiplied as floats. These functions may read whole panels:
  /// what no row was stored in may be anything.
  void (*prepare_query_int)(const float* query, int d, int row, const KvIntQueries& out);
  /// Like score, with sums that are exact integers within a block.
  void (*score_int)(const std::uint8_t* panels, int n, int d, const KvIntQueries& queries,
                    int n_queries, float* scores, std::size_t scores_stride, const Fetch& fetch);
  /// acc[h·d + j] += Σ_i weights[h·weights_stride + i]·decode(row i)[j], in the codes' basis, i
  /// ascending with one fma a step. Multiplies the weights by the rows' gains in place. Asks memory
  /// for `fetch` meanwhile.
  void (*accumulate)(const std::uint8_t* panels, int n, int d, float* weights,
                     std::size_t weights_stride, int n_queries, float* acc, const Fetch& fetch);
  /// The same in integers, for weights that are not negative, of rows [first, first + n) of a chunk
  /// of kKvChunkRows. For each query, weight times scale is rounded to so many steps that sums are
  /// exact: 14 bits of the largest in a block, 8 for uniform_2b (decision 12), 18 of their sum for
  /// fp16 (decision 9); that of a part of the chunk, which begins at the same rows whatever
  /// `first`. Sums do not depend on what else is computed, as long as rows of weight 0 are all that
  /// is left out. Leaves the weights as they are.
  void (*accumulate_int)(const std::uint8_t* panels, int first, int n, int d, const float* weights,
                         std::size_t weights_stride, int n_queries, float* acc, const Fetch& fetch);
  /// Takes an accumulated value [d] back from the basis of the codes, in place.
  void (*finish_value)(float* acc, int d);
};

}  // namespace quant
