// Greedy texts, where they part, and loops.
#include "quant/greedy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

using Tokens = std::vector<Token>;

Tokens repeated(Tokens head, const Tokens& round, int times, int more = 0) {
  for (int i = 0; i < times; ++i) head.insert(head.end(), round.begin(), round.end());
  head.insert(head.end(), round.begin(), round.begin() + more);
  return head;
}

void expect_loop(const Tokens& tokens, std::int64_t start, std::int64_t period) {
  const std::optional<Loop> loop = find_loop(tokens);
  ASSERT_TRUE(loop.has_value());
  EXPECT_EQ(loop->start, start);
  EXPECT_EQ(loop->period, period);
}

TEST(FindLoop, SmallestPeriodAndFirstTokenOfIt) {
  expect_loop(repeated({1, 2}, {7}, 16), 2, 1);
  expect_loop(repeated({1, 2}, {7, 8}, 8), 2, 2);
  expect_loop(repeated({1, 2}, {7, 8, 9, 7, 8, 10}, 3), 2, 6);
  expect_loop(repeated({1, 2}, {7, 8, 9, 10, 11, 12}, 3, 4), 2, 6);  // a round begun
  expect_loop(repeated({}, {5, 6}, 40), 0, 2);
  expect_loop(repeated({8}, {7, 8}, 8), 0, 2);  // the head fits the loop
}

TEST(FindLoop, NotYet) {
  const auto none = [](const Tokens& tokens) { return !find_loop(tokens).has_value(); };
  EXPECT_TRUE(none({}));
  EXPECT_TRUE(none({1}));
  EXPECT_TRUE(none(repeated({1}, {7}, 15)));                      // shorter than 16
  EXPECT_TRUE(none(repeated({1}, {7, 8, 9, 10, 11, 12}, 2, 5)));  // not three rounds
  Tokens ended = repeated({}, {7, 8}, 20);
  ended.push_back(1);  // what looped and went on
  EXPECT_TRUE(none(ended));
}

class Greedy : public testing::Test {
 protected:
  static std::shared_ptr<const Model> load() {
    const TempDir dir;
    return Model::load(write_tiny_model(dir.path(), {}));
  }
  Session session(KvType type) const {
    return Session(model, {.kv = {{type, 0, 0}, {type, 0, 0}}, .context = 128});
  }

  std::shared_ptr<const Model> model = load();
  Tokens prompt = {256, 't', 'h', 'e', ' ', 'r'};
};

TEST_F(Greedy, TextIsTheMostLikelyTokenEachTime) {
  Session s = session(KvType::kFp32);
  const Tokens text = greedy_text(s, prompt, 20);
  ASSERT_LE(text.size(), 20u);
  Tokens all = prompt;
  all.insert(all.end(), text.begin(), text.end());
  Session fresh = session(KvType::kFp32);
  const std::vector<float> logits = fresh.append_with_logits(all);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const float* row = logits.data() + (prompt.size() - 1 + i) * 288;
    EXPECT_EQ(text[i], std::max_element(row, row + 288) - row) << i;
  }
  EXPECT_EQ(greedy_text(s, prompt, 20), text);  // from an empty cache again
  EXPECT_TRUE(text.size() == 20 || model->tokenizer().is_end_of_generation(text.back()));
}

TEST_F(Greedy, TheSameFormatNeverDiverges) {
  Session a = session(KvType::kFp32);
  Session b = session(KvType::kFp32);
  const GreedyComparison same = compare_greedy(a, b, prompt, 30);
  EXPECT_FALSE(same.first_difference.has_value());
  EXPECT_EQ(same.agreed_tokens(), static_cast<std::int64_t>(same.baseline.size()));
}

TEST_F(Greedy, FirstDifferenceIsWhereTheTextsPart) {
  Session a = session(KvType::kFp32);
  Session b = session(KvType::kUniform2b);
  int diverged = 0;
  for (Token first = 'a'; first < 'k'; ++first) {
    const GreedyComparison c = compare_greedy(a, b, Tokens{256, first, ' ', 'i', 's'}, 40);
    if (!c.first_difference.has_value()) continue;
    ++diverged;
    const std::size_t at = static_cast<std::size_t>(*c.first_difference);
    EXPECT_TRUE(
        std::equal(c.tokens.begin(), c.tokens.begin() + *c.first_difference, c.baseline.begin()));
    EXPECT_NE(c.tokens.at(at), c.baseline.at(at));
    EXPECT_EQ(c.agreed_tokens(), *c.first_difference);
  }
  EXPECT_GT(diverged, 0);
}

TEST(GreedySummary, CountsAndCentres) {
  std::vector<GreedyComparison> comparisons(4);
  for (GreedyComparison& c : comparisons) c.tokens = c.baseline = Tokens(30, 1);
  comparisons[0].first_difference = 0;
  comparisons[1].first_difference = 10;
  comparisons[2].first_difference = 4;
  comparisons[2].loop = Loop{5, 1};
  comparisons[3].loop = Loop{0, 1};
  comparisons[3].baseline_loop = Loop{0, 1};
  const GreedySummary summary = summarize_greedy(comparisons);
  EXPECT_EQ(summary.prompts, 4);
  EXPECT_EQ(summary.identical, 1);
  EXPECT_DOUBLE_EQ(summary.agreed_tokens_mean, 11.0);
  EXPECT_DOUBLE_EQ(summary.agreed_tokens_median, 7.0);
  EXPECT_EQ(summary.baseline_loops, 1);
  EXPECT_EQ(summary.loops, 2);
}

}  // namespace
}  // namespace quant::test
