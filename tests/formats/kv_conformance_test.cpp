// What every KV format must do, on every instruction set: the contract of formats/kv/kv_format.h.
#include "formats/kv_rows.h"

namespace quant::test {
namespace {

constexpr int kCounts[] = {0, 1, 7, 16, 17, 33, 49, 83};
constexpr int kMostRows = std::ranges::max(kCounts);
constexpr int kQueryCounts[] = {1, 2, 3, 4, 7, 13};
constexpr std::size_t kGap = 3;  // floats between the scores of two queries

std::size_t size(int n) { return static_cast<std::size_t>(n); }

class KvConformance : public testing::TestWithParam<KvCase> {
 protected:
  const KvCase c = GetParam();
};

class KvIntConformance : public KvConformance {};  // formats that are multiplied as integers

std::vector<KvCase> int_cases() {
  std::vector<KvCase> cases = all_kv_cases();
  std::erase_if(cases, [](const KvCase& k) { return k.kernels().score_int == nullptr; });
  return cases;
}

/// Scores of n rows [n_queries][n + kGap], sentinels between them.
std::vector<float> scores_of(const KvKernels& kernels, const PackedRows& rows, int n,
                             const std::vector<float>& queries) {
  const int n_queries = static_cast<int>(queries.size()) / rows.d;
  const std::size_t stride = size(n) + kGap;
  Guarded<float> scores(size(n_queries) * stride);
  kernels.score(rows.as_keys(), n, rows.d, queries.data(), n_queries, scores.data(), stride, {});
  EXPECT_TRUE(scores.intact()) << "d " << rows.d << ", n " << n;
  return scores.values();
}

/// Queries [n_queries][d] as a format's integers.
struct IntQueries {
  IntQueries(const KvKernels& kernels, const std::vector<float>& queries, int d)
      : n(static_cast<int>(queries.size()) / d),
        codes(kv_code_bytes(n, d)),
        scale(size(n * (d / 16))),
        sum(size(n * (d / 16))),
        total(size(n * (d / 16))) {
    for (int row = 0; row < n; ++row) {
      kernels.prepare_query_int(queries.data() + row * d, d, row, view());
    }
  }
  KvIntQueries view() { return {codes.data(), scale.data(), sum.data(), total.data()}; }

  int n;
  std::vector<std::uint8_t> codes;
  std::vector<float> scale;
  std::vector<std::int32_t> sum;
  std::vector<float> total;
};

std::vector<float> int_scores_of(const KvKernels& kernels, const PackedRows& rows, int n,
                                 const std::vector<float>& queries) {
  IntQueries rounded(kernels, queries, rows.d);
  const std::size_t stride = size(n) + kGap;
  Guarded<float> scores(size(rounded.n) * stride);
  kernels.score_int(rows.as_keys(), n, rows.d, rounded.view(), rounded.n, scores.data(), stride,
                    {});
  EXPECT_TRUE(scores.intact()) << "d " << rows.d << ", n " << n;
  return scores.values();
}

/// Sums of n rows [n_queries][d] onto start, in the basis of the codes.
std::vector<float> sums_of(const KvKernels& kernels, const PackedRows& rows, int n,
                           std::vector<float> weights, std::size_t stride,
                           const std::vector<float>& start) {
  Guarded<float> acc(start.size());
  std::copy(start.begin(), start.end(), acc.data());
  kernels.accumulate(rows.as_values(), n, rows.d, weights.data(), stride,
                     static_cast<int>(start.size()) / rows.d, acc.data(), {});
  EXPECT_TRUE(acc.intact()) << "d " << rows.d << ", n " << n;
  return acc.values();
}

/// The same in integers, for weights that are not negative.
std::vector<float> int_sums_of(const KvKernels& kernels, const PackedRows& rows, int n,
                               const std::vector<float>& weights, std::size_t stride,
                               const std::vector<float>& start) {
  Guarded<float> acc(start.size());
  std::copy(start.begin(), start.end(), acc.data());
  kernels.accumulate_int(rows.as_values(), 0, n, rows.d, weights.data(), stride,
                         static_cast<int>(start.size()) / rows.d, acc.data(), {});
  EXPECT_TRUE(acc.intact()) << "d " << rows.d << ", n " << n;
  return acc.values();
}

/// Like those of a softmax: most of them small, some 0.
std::vector<float> random_weights(std::size_t n, std::uint64_t seed) {
  std::vector<float> weights = random_floats(n, seed);
  for (float& w : weights) w = std::max(0.0f, std::exp(3.0f * w - 6.0f) - 1e-4f);
  return weights;
}

TEST_P(KvConformance, EncodesScalarsBytes) {
  for (const int d : kDims) {
    for (const Distribution distribution : kDistributions) {
      for (std::uint64_t seed = 0; seed < 6; ++seed) {
        std::vector<float> row = random_row(distribution, d, seed);
        for (float& x : row) x = std::ldexp(x, 8 * static_cast<int>(seed) - 32);
        Guarded<std::uint8_t> expected(c.row_bytes(d));
        Guarded<std::uint8_t> got(c.row_bytes(d));
        const bool fits = c.scalar().encode(row.data(), d, expected.data());
        ASSERT_EQ(c.kernels().encode(row.data(), d, got.data()), fits) << d;
        ASSERT_TRUE(got.intact()) << d;
        if (!fits) continue;
        ASSERT_EQ(got.values(), expected.values()) << "d " << d << ", seed " << seed;
      }
    }
  }
}

TEST_P(KvConformance, RowsArePutInPanelsAndTakenBack) {
  const auto expect = [&](const PackedRows& rows, const std::vector<std::uint8_t>& scalars,
                          auto put, auto take) {
    Guarded<std::uint8_t> panels(scalars.size() - 1);
    std::fill_n(panels.data(), scalars.size() - 1, std::uint8_t{0xff});
    // Any order will do, and a row may be put where another was.
    for (int i = rows.n - 1; i >= 0; --i) put(rows.packed[0].data(), rows.d, i, panels.data());
    for (int i = rows.n - 1; i >= 0; --i)
      put(rows.packed[size(i)].data(), rows.d, i, panels.data());
    ASSERT_TRUE(panels.intact()) << rows.d;
    ASSERT_TRUE(std::equal(scalars.begin() + 1, scalars.end(), panels.data())) << rows.d;
    for (int i = 0; i < rows.n; ++i) {
      Guarded<std::uint8_t> row(c.row_bytes(rows.d));
      take(panels.data(), rows.d, i, row.data());
      ASSERT_TRUE(row.intact()) << rows.d;
      ASSERT_EQ(row.values(), rows.packed[size(i)]) << "d " << rows.d << ", row " << i;
    }
  };
  for (const int d : kDims) {
    const PackedRows rows(c, 75, d);
    expect(rows, rows.keys, c.kernels().put_key, c.kernels().take_key);
    expect(rows, rows.values, c.kernels().put_value, c.kernels().take_value);
  }
}

TEST_P(KvConformance, DecodesScalarsBits) {
  for (const int d : kDims) {
    const PackedRows rows(c, 5, d);
    for (int i = 0; i < rows.n; ++i) {
      Guarded<float> out(size(d));
      c.kernels().decode(rows.packed[size(i)].data(), d, out.data());
      ASSERT_TRUE(out.intact()) << d;
      ASSERT_TRUE(same_bits(out.values(), rows.decoded[size(i)])) << d;
    }
  }
}

TEST_P(KvConformance, ScoresAndSumsAreScalarsBits) {
  for (const int d : kDims) {
    const PackedRows rows(c, kMostRows, d);
    for (const int n : kCounts) {
      for (const int n_queries : kQueryCounts) {
        const std::vector<float> queries = random_floats(size(n_queries * d), 1);
        ASSERT_TRUE(same_bits(scores_of(c.kernels(), rows, n, queries),
                              scores_of(c.scalar(), rows, n, queries)))
            << "d " << d << ", n " << n << ", " << n_queries << " queries";
        if (c.kernels().score_int != nullptr) {
          ASSERT_TRUE(same_bits(int_scores_of(c.kernels(), rows, n, queries),
                                int_scores_of(c.scalar(), rows, n, queries)))
              << "d " << d << ", n " << n << ", " << n_queries << " queries";
        }
        const std::vector<float> weights = random_floats(size(n_queries) * kMostRows, 2);
        const std::vector<float> start = random_floats(size(n_queries * d), 3);
        ASSERT_TRUE(same_bits(sums_of(c.kernels(), rows, n, weights, kMostRows, start),
                              sums_of(c.scalar(), rows, n, weights, kMostRows, start)))
            << "d " << d << ", n " << n << ", " << n_queries << " queries";
        if (c.kernels().accumulate_int != nullptr) {
          const std::vector<float> w = random_weights(weights.size(), 2);
          ASSERT_TRUE(same_bits(int_sums_of(c.kernels(), rows, n, w, kMostRows, start),
                                int_sums_of(c.scalar(), rows, n, w, kMostRows, start)))
              << "d " << d << ", n " << n << ", " << n_queries << " queries";
        }
      }
    }
  }
}

/// What is asked for need not even exist.
TEST_P(KvConformance, FetchingChangesNoResult) {
  const Fetch fetches[] = {{{64, 40000}, {}, FetchTo::kL1},
                           {{64, 300}, {1 << 20, 5000}, FetchTo::kL2}};
  for (const int d : {16, 80, 256}) {
    const PackedRows rows(c, kMostRows, d);
    for (const int n : {1, 16, 33, 83}) {
      for (const int n_queries : {1, 4, 7, 25}) {
        const std::vector<float> queries = random_floats(size(n_queries * d), 1);
        const std::vector<float> weights = random_weights(size(n_queries * n), 2);
        const auto results_with = [&](const Fetch& fetch) {
          std::vector<float> results(size(2 * n_queries * (n + d)), 0.0f);
          float* out = results.data();
          std::vector<float> used = weights;
          c.kernels().score(rows.as_keys(), n, d, queries.data(), n_queries, out, size(n), fetch);
          out += n_queries * n;
          c.kernels().accumulate(rows.as_values(), n, d, used.data(), size(n), n_queries, out,
                                 fetch);
          if (c.kernels().score_int == nullptr) return results;
          out += n_queries * d;
          IntQueries rounded(c.kernels(), queries, d);
          c.kernels().score_int(rows.as_keys(), n, d, rounded.view(), n_queries, out, size(n),
                                fetch);
          out += n_queries * n;
          c.kernels().accumulate_int(rows.as_values(), 0, n, d, weights.data(), size(n), n_queries,
                                     out, fetch);
          return results;
        };
        const std::vector<float> expected = results_with({});
        for (const Fetch& fetch : fetches) {
          ASSERT_TRUE(same_bits(results_with(fetch), expected))
              << "d " << d << ", n " << n << ", " << n_queries << " queries";
        }
      }
    }
  }
}

TEST_P(KvConformance, PreparedQueriesAndFinishedValuesAreScalarsBits) {
  for (const int d : kDims) {
    const std::vector<float> x = random_floats(size(d), 4);
    Guarded<float> mine(size(d));
    Guarded<float> scalars(size(d));
    c.kernels().prepare_query(x.data(), d, mine.data());
    c.scalar().prepare_query(x.data(), d, scalars.data());
    ASSERT_TRUE(mine.intact());
    ASSERT_TRUE(same_bits(mine.values(), scalars.values())) << d;
    std::vector<float> in_place = x;
    c.kernels().prepare_query(in_place.data(), d, in_place.data());
    ASSERT_TRUE(same_bits(in_place, mine.values())) << d;
    c.kernels().finish_value(mine.data(), d);
    c.scalar().finish_value(scalars.data(), d);
    ASSERT_TRUE(mine.intact());
    ASSERT_TRUE(same_bits(mine.values(), scalars.values())) << d;
  }
}

TEST_P(KvConformance, ScoreIsTheProductWithTheDecodedRow) {
  for (const int d : kDims) {
    const PackedRows rows(c, 33, d);
    const std::vector<float> query = random_floats(size(d), 5);
    std::vector<float> prepared(size(d));
    c.kernels().prepare_query(query.data(), d, prepared.data());
    const std::vector<float> scores = scores_of(c.kernels(), rows, rows.n, prepared);
    for (int i = 0; i < rows.n; ++i) {
      double product = 0.0;
      for (int j = 0; j < d; ++j) {
        product += static_cast<double>(query[size(j)]) *
                   static_cast<double>(rows.decoded[size(i)][size(j)]);
      }
      const double magnitude =
          d * root_mean_square(query) * root_mean_square(rows.decoded[size(i)]);
      ASSERT_NEAR(static_cast<double>(scores[size(i)]), product, 2e-6 * magnitude) << d;
    }
  }
}

/// Rounding a query to int8 moves a score by a random walk of d steps of 1/254 of the query's
/// largest value at most; rounding the codebook does the same to the row. With rows of fp16 the
/// query has words of 65,055 / d on average, the row 15 bits.
TEST_P(KvIntConformance, IntScoreIsCloseToTheProductWithTheDecodedRow) {
  for (const int d : kDims) {
    const double unit = c.type == KvType::kFp16 ? std::max(0.04, 0.0003 * d) : 1.0;
    const PackedRows rows(c, 33, d);
    const std::vector<float> query = random_floats(size(d), 5);
    const std::vector<float> scores = int_scores_of(c.kernels(), rows, rows.n, query);
    double squares = 0.0;
    for (int i = 0; i < rows.n; ++i) {
      double product = 0.0;
      for (int j = 0; j < d; ++j) {
        product += static_cast<double>(query[size(j)]) *
                   static_cast<double>(rows.decoded[size(i)][size(j)]);
      }
      const double magnitude =
          std::sqrt(d) * root_mean_square(query) * root_mean_square(rows.decoded[size(i)]);
      const double error = static_cast<double>(scores[size(i)]) - product;
      ASSERT_LE(std::abs(error), 0.05 * unit * magnitude) << "d " << d << ", row " << i;
      if (magnitude > 0.0) squares += error * error / (magnitude * magnitude);
    }
    ASSERT_LE(std::sqrt(squares / rows.n), 0.02 * unit) << d;
  }
}

TEST_P(KvConformance, FinishedSumIsTheSumOfDecodedRows) {
  for (const int d : kDims) {
    const PackedRows rows(c, 33, d);
    const std::vector<float> weights = random_floats(33, 6);
    const std::vector<float> zeros(size(d), 0.0f);
    std::vector<float> sum = sums_of(c.kernels(), rows, rows.n, weights, 33, zeros);
    c.kernels().finish_value(sum.data(), d);
    double magnitude = 0.0;
    for (int i = 0; i < rows.n; ++i) {
      magnitude +=
          std::abs(static_cast<double>(weights[size(i)])) * root_mean_square(rows.decoded[size(i)]);
    }
    for (int j = 0; j < d; ++j) {
      double expected = 0.0;
      for (int i = 0; i < rows.n; ++i) {
        expected += static_cast<double>(weights[size(i)]) *
                    static_cast<double>(rows.decoded[size(i)][size(j)]);
      }
      ASSERT_NEAR(static_cast<double>(sum[size(j)]), expected, 1e-5 * magnitude) << d;
    }
  }
}

/// Of a sum over rows, values are rounded to 1/254 of the largest one of a codebook, weights to
/// 1/32258 of the largest one, in uniform_2b to 1/510 of the largest of 128 rows. All are random
/// walks. With rows of fp16 the values have 13 bits and the weights 18 bits of their sum. The two
/// values of turbo_kv_2b happen to be close to such integers, 38 and 127.
TEST_P(KvIntConformance, IntSumIsCloseToTheSumOfDecodedRows) {
  for (const int d : kDims) {
    const PackedRows rows(c, 300, d);
    const std::vector<float> weights = random_weights(300, 6);
    const std::vector<float> zeros(size(d), 0.0f);
    std::vector<float> sum = int_sums_of(c.kernels(), rows, rows.n, weights, 300, zeros);
    c.kernels().finish_value(sum.data(), d);
    double squares = 0.0;
    double largest = 0.0;
    for (int i = 0; i < rows.n; ++i) {
      const double part =
          static_cast<double>(weights[size(i)]) * root_mean_square(rows.decoded[size(i)]);
      squares += part * part;
      largest = std::max(largest, part);
    }
    const bool has_codebook = c.type == KvType::kTurboKv3b || c.type == KvType::kTurboKv4b;
    const double codebook = has_codebook ? 0.02 : 0.0;
    const double weight = c.type == KvType::kUniform2b ? 0.03 : 0.002;
    double error_squares = 0.0;
    for (int j = 0; j < d; ++j) {
      double expected = 0.0;
      for (int i = 0; i < rows.n; ++i) {
        expected += static_cast<double>(weights[size(i)]) *
                    static_cast<double>(rows.decoded[size(i)][size(j)]);
      }
      const double error = static_cast<double>(sum[size(j)]) - expected;
      error_squares += error * error;
    }
    ASSERT_LE(std::sqrt(error_squares / d), codebook * std::sqrt(squares) + weight * largest) << d;
  }
}

/// What attention relies on: rows of weight 0 may be left out, and queries be computed apart.
TEST_P(KvIntConformance, IntSumsDoNotDependOnWhatElseIsComputed) {
  constexpr int kQueries = 101;  // more than are rounded together
  constexpr int n = kKvChunkRows;
  for (const int d : {16, 64, 80, 256}) {
    const PackedRows rows(c, n, d);
    std::vector<float> weights = random_weights(size(kQueries * n), 13);
    const auto end_of = [&](int h) { return n / 2 + 1 + h % (n / 2); };
    for (int h = 0; h < kQueries; ++h) {
      std::fill_n(weights.begin() + h * n, n / 4 + h % 29, 0.0f);
      std::fill(weights.begin() + h * n + end_of(h), weights.begin() + (h + 1) * n, 0.0f);
    }
    const std::vector<float> start = random_floats(size(kQueries * d), 14);
    const std::vector<float> all = int_sums_of(c.kernels(), rows, n, weights, size(n), start);
    for (int h = 0; h < kQueries; ++h) {
      const auto first = start.begin() + h * d;
      std::vector<float> alone(first, first + d);
      const std::vector<float> expected(all.begin() + h * d, all.begin() + (h + 1) * d);
      // From a later panel on, and no further than the last row that counts.
      c.kernels().accumulate_int(rows.as_values() + size(n / 4) * c.row_bytes(d), n / 4,
                                 end_of(h) - n / 4, d, weights.data() + h * n + n / 4, size(n), 1,
                                 alone.data(), {});
      ASSERT_TRUE(same_bits(alone, expected)) << "d " << d << ", query " << h;
    }
  }
}

/// What comes closest to the end of 32 bits: all rows, queries and weights at their largest.
TEST_P(KvIntConformance, IntSumsOfTheLargestDoNotOverflow) {
  constexpr float kLargest = 0x1.ffcp9f;  // all eleven bits of an fp16 number
  constexpr int n = kKvChunkRows;
  for (const int d : {64, 512}) {
    for (const bool alternating : {false, true}) {
      std::vector<float> row(size(d), kLargest);
      for (int j = 1; alternating && j < d; j += 2) row[size(j)] = -kLargest;
      PackedRows rows(c, n, d);
      std::vector<std::uint8_t> packed(c.row_bytes(d));
      std::vector<float> decoded(size(d));
      ASSERT_TRUE(c.kernels().encode(row.data(), d, packed.data()));
      c.kernels().decode(packed.data(), d, decoded.data());
      for (int i = 0; i < n; ++i) {
        c.kernels().put_key(packed.data(), d, i, rows.keys.data() + 1);
        c.kernels().put_value(packed.data(), d, i, rows.values.data() + 1);
      }
      float product = 0.0f;
      for (int j = 0; j < d; ++j) product += row[size(j)] * decoded[size(j)];
      const std::vector<float> scores = int_scores_of(c.kernels(), rows, n, row);
      for (int i = 0; i < n; ++i) ASSERT_NEAR(scores[size(i)], product, 0.05f * product) << d;
      const std::vector<float> weights(size(n), 1.0f);
      const std::vector<float> zeros(size(d), 0.0f);
      std::vector<float> sums = int_sums_of(c.kernels(), rows, n, weights, size(n), zeros);
      c.kernels().finish_value(sums.data(), d);
      const auto count = static_cast<float>(n);
      for (int j = 0; j < d; ++j) {
        ASSERT_NEAR(sums[size(j)], count * decoded[size(j)], 0.05f * count * kLargest) << d;
      }
    }
  }
}

TEST_P(KvIntConformance, IntSumsOfNothingAreNothing) {
  const PackedRows rows(c, 40, 64);
  const std::vector<float> start = random_floats(2 * 64, 15);
  for (const float weight : {0.0f, 1e-44f, 1e-36f}) {
    const std::vector<float> weights(2 * 40, weight);
    const std::vector<float> sums = int_sums_of(c.kernels(), rows, 40, weights, 40, start);
    for (std::size_t j = 0; j < sums.size(); ++j) ASSERT_NEAR(sums[j], start[j], 1e-25f);
  }
}

TEST_P(KvConformance, NothingIsWrittenBeyondTheRows) {
  const PackedRows rows(c, kMostRows, 64);
  const std::vector<float> queries = random_floats(3 * 64, 7);
  const std::vector<float> untouched = Guarded<float>(1).values();
  for (const int n : kCounts) {
    const std::vector<float> scores = scores_of(c.kernels(), rows, n, queries);
    for (std::size_t h = 0; h < 3; ++h) {
      for (std::size_t gap = 0; gap < kGap; ++gap) {
        const float sentinel = scores[h * (size(n) + kGap) + size(n) + gap];
        ASSERT_TRUE(same_bits({sentinel}, untouched)) << "n " << n;
      }
    }
  }
}

TEST_P(KvConformance, GroupedQueriesAreThoseOneByOne) {
  constexpr int kQueries = 27;  // more than any instruction set takes at once
  for (const int d : {64, 80}) {
    const PackedRows rows(c, 33, d);
    const std::vector<float> queries = random_floats(size(kQueries * d), 8);
    const std::vector<float> weights = random_floats(kQueries * 33, 9);
    const std::vector<float> start = random_floats(size(kQueries * d), 10);
    const std::vector<float> scores = scores_of(c.kernels(), rows, 33, queries);
    const std::vector<float> sums = sums_of(c.kernels(), rows, 33, weights, 33, start);
    const auto part = [](const std::vector<float>& all, std::size_t h, std::size_t length) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(h * length);
      return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(length));
    };
    std::vector<float> int_scores;
    if (c.kernels().score_int != nullptr) {
      int_scores = int_scores_of(c.kernels(), rows, 33, queries);
    }
    for (std::size_t h = 0; h < kQueries; ++h) {
      ASSERT_TRUE(same_bits(scores_of(c.kernels(), rows, 33, part(queries, h, size(d))),
                            part(scores, h, 33 + kGap)));
      if (!int_scores.empty()) {
        ASSERT_TRUE(same_bits(int_scores_of(c.kernels(), rows, 33, part(queries, h, size(d))),
                              part(int_scores, h, 33 + kGap)));
      }
      ASSERT_TRUE(same_bits(
          sums_of(c.kernels(), rows, 33, part(weights, h, 33), 33, part(start, h, size(d))),
          part(sums, h, size(d))));
      ASSERT_TRUE(same_bits(scores_of(c.kernels(), rows, 33, part(queries, 0, (h + 1) * size(d))),
                            part(scores, 0, (h + 1) * (33 + kGap))));
    }
  }
}

TEST_P(KvConformance, RowsMayBeDividedBetweenPanels) {
  constexpr int kRows = 200;
  for (const int d : {64, 80}) {
    const PackedRows rows(c, kRows, d);
    const std::vector<float> queries = random_floats(size(3 * d), 11);
    const std::vector<float> weights = random_floats(3 * kRows, 12);
    std::vector<float> whole_scores(3 * kRows);
    std::vector<float> whole_sums(size(3 * d), 0.0f);
    c.kernels().score(rows.as_keys(), kRows, d, queries.data(), 3, whole_scores.data(), kRows, {});
    std::vector<float> used = weights;
    c.kernels().accumulate(rows.as_values(), kRows, d, used.data(), kRows, 3, whole_sums.data(),
                           {});
    for (const int step : {32, 64, 96}) {
      std::vector<float> scores(3 * kRows);
      std::vector<float> sums(size(3 * d), 0.0f);
      used = weights;
      for (int i = 0; i < kRows; i += step) {
        const int n = std::min(step, kRows - i);
        const std::size_t first = size(i) * c.row_bytes(d);
        c.kernels().score(rows.as_keys() + first, n, d, queries.data(), 3, scores.data() + i, kRows,
                          {});
        c.kernels().accumulate(rows.as_values() + first, n, d, used.data() + i, kRows, 3,
                               sums.data(), {});
      }
      ASSERT_TRUE(same_bits(scores, whole_scores)) << step;
      ASSERT_TRUE(same_bits(sums, whole_sums)) << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, KvConformance, testing::ValuesIn(all_kv_cases()),
                         testing::PrintToStringParamName());
INSTANTIATE_TEST_SUITE_P(All, KvIntConformance, testing::ValuesIn(int_cases()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace quant::test
