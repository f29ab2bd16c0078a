// What an instruction set with a matrix unit adds to the vocabulary of scalar.h: products of int8
// matrices, sixteen rows of x by sixteen of w at a time (amx.h).
#pragma once

namespace quant {

/// Tiles<Columns, X>(rest) lives while the unit is in use; Columns is 16, 32 or 64, X int8_t or
/// uint8_t, what x is of. Slot 0 is for S::kInt8Rows rows of x, slot 1 for `rest` of them. Each
/// slot has
///   clear(): begins sums of 0;
///   add(x, x_stride, w, w_stride): adds Σ_k x[i][k]·w[r][k] over Columns columns. Rows of x are
///     x_stride bytes apart; w is [Columns / 4][16 rows][4], of which the first are w_stride apart;
///   store(out): the sums, [rows of x][16].
/// S::kInt8SumWords is false then.
template <class S>
concept HasTiles = requires {
  typename S::template Tiles<32>;
};

}  // namespace quant
