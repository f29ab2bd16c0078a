// Files whose tokenizer cannot be right: refused with a word, never a crash.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "quant/error.h"
#include "quant/tokenizer.h"
#include "support/expect_error.h"
#include "text/fixture.h"

namespace quant {
namespace {

struct Malformed {
  const char* name;
  const char* vocabulary;
  const char* variant;
  std::function<void(test::GgufWriter&)> spoil;
  const char* message;
};

template <class T>
std::function<void(test::GgufWriter&)> replace(const std::string& key, const T& value) {
  return [=](test::GgufWriter& writer) { writer.remove(key).add(key, value); };
}

std::function<void(test::GgufWriter&)> drop(const std::string& key) {
  return [=](test::GgufWriter& writer) { writer.remove(key); };
}

std::vector<std::string> tokens_of(const std::string& name) {
  return test::read_tokenizer_data(name).at("tokens").get<std::vector<std::string>>();
}

std::vector<std::string> tokens_with_duplicate() {
  auto tokens = tokens_of("bpe");
  tokens[300] = tokens[299];
  return tokens;
}

std::vector<std::string> without_byte_tokens() {
  auto tokens = tokens_of("spm");
  for (std::size_t i = 3; i < 259; ++i) tokens[i] = "piece " + std::to_string(i);
  return tokens;
}

std::vector<float> scores_with(float value) {
  auto scores = test::read_tokenizer_data("spm").at("scores").get<std::vector<float>>();
  scores[400] = value;
  return scores;
}

const std::string kTokens = "tokenizer.ggml.tokens";
const std::string kTypes = "tokenizer.ggml.token_type";
const std::string kScores = "tokenizer.ggml.scores";
const std::string kMerges = "tokenizer.ggml.merges";
const std::string kModel = "tokenizer.ggml.model";
const std::string kBos = "tokenizer.ggml.bos_token_id";

const Malformed kMalformed[] = {
    {"NoModel", "bpe", "gpt-2", drop(kModel), "tokenizer.ggml.model"},
    {"ModelIsNoText", "bpe", "gpt-2", replace(kModel, std::uint32_t{7}), "tokenizer.ggml.model"},
    {"WordPiece", "bpe", "gpt-2", replace(kModel, std::string("bert")), "'bert' is not supported"},
    {"Unigram", "bpe", "gpt-2", replace(kModel, std::string("t5")), "'t5' is not supported"},
    {"Rwkv", "bpe", "gpt-2", replace(kModel, std::string("rwkv")), "'rwkv' is not supported"},
    {"UnknownPre", "bpe", "gpt-2", replace("tokenizer.ggml.pre", std::string("new")),
     "pre-tokenizer 'new' is not supported; known are a.x-4.0, afmoe"},
    {"NoTokens", "bpe", "gpt-2", drop(kTokens), "tokenizer.ggml.tokens is missing"},
    {"EmptyTokens", "bpe", "gpt-2", replace(kTokens, std::vector<std::string>()), "0 entries"},
    {"TokensAreNumbers", "bpe", "gpt-2", replace(kTokens, std::vector<std::int32_t>{1, 2}),
     "tokenizer.ggml.tokens"},
    {"SameTokenTwice", "bpe", "gpt-2", replace(kTokens, tokens_with_duplicate()),
     "tokens 299 and 300 have the same text"},
    {"TooFewTypes", "bpe", "gpt-2", replace(kTypes, std::vector<std::int32_t>{1, 1}),
     "token_type has 2 entries, but there are 728 tokens"},
    {"ByteWithoutForm", "bpe", "gpt-2", replace(kTypes, std::vector<std::int32_t>(728, 6)),
     "is not <0xXX>"},
    {"NoMerges", "bpe", "gpt-2", drop(kMerges), "tokenizer.ggml.merges is missing"},
    {"MergeIsNoPair", "bpe", "gpt-2", replace(kMerges, std::vector<std::string>{"ab"}),
     "entry 0 of tokenizer.ggml.merges, 'ab', is not a pair"},
    {"MergeIsEmpty", "bpe", "gpt-2", replace(kMerges, std::vector<std::string>{""}),
     "is not a pair"},
    {"MergeOfHalf", "bpe", "gpt-2", replace(kMerges, std::vector<std::string>{"a "}),
     "is not a pair"},
    {"MergeOfUnknown", "bpe", "gpt-2", replace(kMerges, std::vector<std::string>{"zq zq"}),
     "is no token"},
    {"BosBeyond", "bpe", "gpt-2", replace(kBos, std::uint32_t{728}),
     "bos_token_id is 728, but there are 728 tokens"},
    {"BosNegative", "bpe", "gpt-2", replace(kBos, std::int32_t{-7}), "bos_token_id is -7"},
    {"BosIsText", "bpe", "gpt-2", replace(kBos, std::string("x")), "bos_token_id"},
    {"AddBosIsText", "bpe", "gpt-2", replace("tokenizer.ggml.add_bos_token", std::string("x")),
     "add_bos_token"},
    {"NoScores", "spm", "prefix", drop(kScores), "tokenizer.ggml.scores is missing"},
    {"TooManyScores", "spm", "prefix", replace(kScores, std::vector<float>(765, 0.0f)),
     "scores has 765 entries, but there are 764 tokens"},
    {"ScoreIsNan", "spm", "prefix", replace(kScores, scores_with(std::nanf(""))),
     "score of token 400 is not finite"},
    {"ScoreIsInfinite", "spm", "prefix",
     replace(kScores, scores_with(std::numeric_limits<float>::infinity())),
     "score of token 400 is not finite"},
    {"ScoresAreTexts", "spm", "prefix", replace(kScores, std::vector<std::string>{"1"}),
     "tokenizer.ggml.scores"},
};

TEST(MalformedVocabulary, IsRefusedByName) {
  for (const Malformed& malformed : kMalformed) {
    SCOPED_TRACE(malformed.name);
    auto writer = test::vocabulary_file(malformed.vocabulary, malformed.variant);
    malformed.spoil(writer);
    test::expect_error(ErrorKind::kModel, malformed.message, [&] { test::load_tokenizer(writer); });
  }
}

TEST(MalformedVocabulary, WithoutBytesNeedsAnUnknownToken) {
  auto writer = test::vocabulary_file("spm", "prefix");
  writer.remove(kTokens).add(kTokens, without_byte_tokens());
  writer.remove(kTypes).add(kTypes, std::vector<std::int32_t>(764, 1));
  const auto tokenizer = test::load_tokenizer(writer);
  EXPECT_EQ(tokenizer->encode("\x01").back(), 0);
}

TEST(MalformedVocabulary, EmptyTextsGetAName) {
  auto tokens = tokens_of("bpe");
  tokens[727] = "";
  auto writer = test::vocabulary_file("bpe", "gpt-2");
  writer.remove(kTokens).add(kTokens, tokens);
  EXPECT_EQ(test::load_tokenizer(writer)->vocab_size(), 728);
}

TEST(MalformedVocabulary, DamagedFilesNeverCrash) {
  for (const auto& [name, variant] :
       {std::pair("bpe", "llama-bpe"), std::pair("spm", "phi3"), std::pair("raw_bpe", "gemma4")}) {
    const std::string sound = test::vocabulary_file(name, variant).bytes();
    const test::TempDir dir;
    const auto path = dir.path() / "damaged.gguf";
    std::mt19937 random(11);
    for (int round = 0; round < 300; ++round) {
      std::string damaged = sound;
      for (std::size_t i = 1 + random() % 8; i > 0; --i) {
        damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
      }
      test::write_file(path, damaged);
      try {
        const auto tokenizer = Tokenizer::load(path);
        tokenizer->decode(tokenizer->encode("The end of <s> it\n\n <|im_end|>", true), true);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kModel) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace quant
