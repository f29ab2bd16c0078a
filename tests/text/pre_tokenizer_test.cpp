// Where texts are split, against llama.cpp's splits (tests/data/tokenizers/splits.json).
#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "quant/error.h"
#include "text/fixture.h"

namespace quant {
namespace {

/// One name of each list of patterns.
std::vector<PreTokenizerSpec> distinct_specs() {
  std::map<const std::string_view*, PreTokenizerSpec> specs;
  for (const auto& spec : pre_tokenizer_specs()) specs.emplace(spec.patterns.data(), spec);
  std::vector<PreTokenizerSpec> result;
  for (const auto& [patterns, spec] : specs) result.push_back(spec);
  return result;
}

TEST(PreTokenizer, SplitsAsLlamaCpp) {
  const auto data = test::read_tokenizer_data("splits");
  const auto texts = data.at("texts").get<std::vector<std::string>>();
  std::set<std::string> seen;
  for (const auto& family : data.at("families")) {
    for (const std::string name : family.at("names")) {
      seen.insert(name);
      const PreTokenizer pre_tokenizer(find_pre_tokenizer(name));
      for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(pre_tokenizer.split(texts[i]),
                  family.at("ends").at(i).get<std::vector<std::size_t>>())
            << name << ": " << texts[i];
      }
    }
  }
  EXPECT_EQ(seen.size(), pre_tokenizer_specs().size()) << "a name has no golden splits";
}

TEST(PreTokenizer, UnknownNamesAreRefusedWithTheKnownOnes) {
  try {
    find_pre_tokenizer("no-such\nname");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    const std::string message = error.what();
    EXPECT_NE(message.find("'no-such\\x0aname'"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const auto& spec : pre_tokenizer_specs()) {
      EXPECT_NE(message.find(spec.name), std::string::npos) << spec.name;
    }
  }
}

/// Runs that tempt a pattern to backtrack, or to scan the rest of the text at each step.
std::vector<std::string> long_runs(std::size_t bytes) {
  const std::string units[] = {"a",  "A",       " ",    "\n",     "1",       "!",      "'s",
                               "aA", " \n",     "\r\n", "\u4e2d", "e\u0301", "\u0301", "/\n",
                               "a ", "\u00bd1", "\xFF", "\xE2",   "\u00a0",  "IMGIMG"};
  std::vector<std::string> runs;
  for (const std::string& unit : units) {
    std::string run;
    while (run.size() < bytes) run += unit;
    runs.push_back(run);
    runs.push_back(run + "x");
    runs.push_back(run + "\u0e01");
  }
  return runs;
}

TEST(PreTokenizer, LongRunsNeedNeitherStackNorQuadraticTime) {
  const auto runs = long_runs(40000);
  for (const auto& spec : distinct_specs()) {
    const PreTokenizer pre_tokenizer(spec);
    for (const auto& run : runs) {
      const std::clock_t start = std::clock();
      const auto ends = pre_tokenizer.split(run);
      const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      EXPECT_LT(seconds, 0.5) << spec.name << ": " << run.substr(0, 8);
      ASSERT_FALSE(ends.empty());
      EXPECT_EQ(ends.back(), run.size()) << spec.name;
    }
  }
}

TEST(PreTokenizer, PiecesCoverAnyBytes) {
  std::mt19937 random(1);
  for (const auto& spec : distinct_specs()) {
    const PreTokenizer pre_tokenizer(spec);
    for (int round = 0; round < 50; ++round) {
      std::string text(random() % 40, '\0');
      for (char& c : text) c = static_cast<char>(random() % 3 ? random() % 256 : ' ');
      std::size_t begin = 0;
      for (const std::size_t end : pre_tokenizer.split(text)) {
        EXPECT_GT(end, begin) << spec.name;
        begin = end;
      }
      EXPECT_EQ(begin, text.size()) << spec.name;
    }
  }
}

TEST(PreTokenizer, BytesThatAreNotUtf8AreLikeUnassignedCharacters) {
  const PreTokenizer gpt2(find_pre_tokenizer("gpt-2"));
  // A cut-off character, an overlong form and a surrogate between words.
  EXPECT_EQ(gpt2.split("ab\xE4\xB8 cd"), (std::vector<std::size_t>{2, 4, 7}));
  EXPECT_EQ(gpt2.split("ab\xC0\x80 cd"), (std::vector<std::size_t>{2, 4, 7}));
  EXPECT_EQ(gpt2.split("ab\xED\xA0\x80 cd"), (std::vector<std::size_t>{2, 5, 8}));
}

}  // namespace
}  // namespace quant
