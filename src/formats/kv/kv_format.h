// What a KV format is to the rest of the engine: functions on packed rows, one set an ISA.
//
// A format is a class template on the ISA tag (formats/kv/NAME.h) with
//   kType, kName, kSummary;
//   supports(d): whether rows can have d values;
//   row_bytes(d): bytes of a row;
//   encode(row, d, out): see below;
//   decode16(row, d, j): values j to j + 15, j a multiple of 16, in the basis of the codes;
//   rotate(x, d), unrotate(x, d), where that basis is not the row's own: there and back, in place.
// kv/kernels.h derives the functions below from those. A row is one position of one KV head; d is
// its head_dim, a multiple of 16 from 16 to 512. Rows of a head are contiguous, row_bytes(d) apart.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quant {

struct KvKernels {
  /// Packs row [d] into row_bytes(d) bytes, the same bytes on every ISA. False, with `out`
  /// unspecified, if a value is not finite or a scale does not fit fp16.
  bool (*encode)(const float* row, int d, std::uint8_t* out);
  /// Unpacks to [d] in the row's own basis.
  void (*decode)(const std::uint8_t* row, int d, float* out);
  /// Takes a query [d] into the basis of the codes. In and out may be the same.
  void (*prepare_query)(const float* query, int d, float* out);
  /// scores[h·scores_stride + i] = Σ_j decode(row i)[j]·queries[h·d + j] in the codes' basis, for n
  /// rows and n_queries prepared queries; each row is decoded once for all of them. The sum over j
  /// ascends with one fma a step, so a score depends on nothing but its row and its query.
  void (*score)(const std::uint8_t* rows, int n, int d, const float* queries, int n_queries,
                float* scores, std::size_t scores_stride);
  /// acc[h·d + j] += Σ_i weights[h·weights_stride + i]·decode(row i)[j], in the codes' basis, i
  /// ascending with one fma a step.
  void (*accumulate)(const std::uint8_t* rows, int n, int d, const float* weights,
                     std::size_t weights_stride, int n_queries, float* acc);
  /// Takes an accumulated value [d] back from the basis of the codes, in place.
  void (*finish_value)(float* acc, int d);
};

}  // namespace quant
