// Speed of prefill and decode at a depth, beside what the machine could do.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "quant/session.h"

namespace quant {

/// Limits of this machine with the given threads, measured.
struct MachineLimits {
  double read_bytes_per_second;      ///< best of 5 sums over 1 GiB, prefetched
  double float_products_per_second;  ///< FP32 multiply-adds
  double int8_products_per_second;   ///< int8 multiply-adds
};
MachineLimits measure_machine(Isa isa, int threads);

/// Median, smallest and largest of the repetitions, in tokens per second.
struct Rate {
  double median;
  double low;
  double high;
};

struct BenchOptions {
  int prefill = 512;  ///< tokens of the prefill that is timed
  int decode = 64;    ///< tokens that are decoded one by one
  int repetitions = 5;
};

struct BenchResult {
  int depth;  ///< positions in the cache before what is timed
  Rate prefill;
  Rate decode;
  std::size_t cache_bytes;          ///< allocated
  std::size_t decode_weight_bytes;  ///< weights read for one decoded token
  std::size_t decode_cache_bytes;   ///< rows read for one decoded token at this depth
  /// Multiply-adds with weights of the whole prefill, by what they are computed in; attention's are
  /// not counted.
  double prefill_float_products;
  double prefill_int8_products;
};

/// What is measured on: uniform over the vocabulary, the same ones at every call.
std::vector<Token> bench_tokens(int n, int n_vocab);

/// Called with the tokens that have gone through the model, and those that will have.
using BenchProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Fills the cache with `depth` tokens once and comes back to that place for every repetition. The
/// session must hold depth + max(prefill, decode) tokens. Decoding includes the logits of each
/// token, prefill those of its last one. Throws Error(kUsage) without repetitions.
BenchResult measure_speed(Session& session, int depth, const BenchOptions& options,
                          const BenchProgress& progress = {});

}  // namespace quant
