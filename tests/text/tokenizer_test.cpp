// Tokenizers on small vocabularies of our own: golden ids, round trips, speed.
#include "quant/tokenizer.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <ctime>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "quant/error.h"
#include "text/fixture.h"

namespace quant {
namespace {

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, TokenIdsAreThoseOfLlamaCpp) {
  const auto data = test::read_tokenizer_data(GetParam());
  for (const auto& variant : data.at("variants")) {
    SCOPED_TRACE(variant.at("name").get<std::string>());
    const auto tokenizer = test::load_tokenizer(test::variant_file(data, variant));
    std::string previous;
    bool same_if_parsed = false;
    std::vector<Token> plain;
    for (const auto& golden : variant.at("cases")) {
      const auto text = golden.at("text").get<std::string>();
      const auto ids = golden.at("ids").get<std::vector<Token>>();
      const bool special = golden.at("special");
      EXPECT_EQ(tokenizer->encode(text, special), ids) << text;
      // The case before had no counterpart with special tokens parsed.
      if (!special && same_if_parsed) {
        EXPECT_EQ(tokenizer->encode(previous, true), plain) << previous;
      }
      previous = text;
      plain = ids;
      same_if_parsed = !special;
    }
    std::vector<Token> ends;
    for (Token token = 0; token < tokenizer->vocab_size(); ++token) {
      if (tokenizer->is_end_of_generation(token)) ends.push_back(token);
    }
    EXPECT_EQ(ends, variant.at("end_of_generation").get<std::vector<Token>>());
  }
}

TEST_P(Golden, TextsComeBack) {
  const auto data = test::read_tokenizer_data(GetParam());
  for (const auto& variant : data.at("variants")) {
    if (variant.at("name") == "phi3") continue;  // takes spaces after special tokens away
    SCOPED_TRACE(variant.at("name").get<std::string>());
    const auto tokenizer = test::load_tokenizer(test::variant_file(data, variant));
    for (const auto& golden : variant.at("cases")) {
      const auto text = golden.at("text").get<std::string>();
      const bool special = golden.at("special");
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, special), special), text);
    }
    EXPECT_EQ(tokenizer->encode(""), std::vector<Token>());
    EXPECT_EQ(tokenizer->decode({}), "");
  }
}

TEST_P(Golden, AnyBytesComeBack) {
  const auto data = test::read_tokenizer_data(GetParam());
  const std::string pieces[] = {" ",          "  ",     "\n",   "\u2581", "\u2581 ",
                                "\xE2\x96",   "\xE2",   "a",    "the",    "</s>",
                                "<s>",        "<0x41>", "\xFF", "\xF0",   "\u65e5",
                                "<|im_end|>", "\n\n",   "   ",  "\u0120", "\xED\xA0\x80"};
  for (const auto& variant : data.at("variants")) {
    if (variant.at("name") == "phi3") continue;
    SCOPED_TRACE(variant.at("name").get<std::string>());
    const auto tokenizer = test::load_tokenizer(test::variant_file(data, variant));
    std::mt19937 random(7);
    for (int round = 0; round < 400; ++round) {
      std::string text;
      for (std::size_t i = random() % 30; i > 0; --i) {
        if (round % 2) {
          text += static_cast<char>(random() % 256);
        } else {
          text += pieces[random() % std::size(pieces)];
        }
      }
      const auto ids = tokenizer->encode(text);
      EXPECT_EQ(tokenizer->decode(ids), text) << testing::PrintToString(text);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, Golden, testing::Values("bpe", "spm", "raw_bpe"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Tokenizer, DecodeIsTokenBytesButForTheAddedSpace) {
  const auto with = test::load_tokenizer(test::vocabulary_file("spm", "prefix"));
  const auto without = test::load_tokenizer(test::vocabulary_file("spm", "no-prefix"));
  const std::string text = " the  end";
  std::string bytes;
  for (const Token token : with->encode(text)) bytes += with->token_bytes(token);
  EXPECT_EQ(bytes, " " + text);
  EXPECT_EQ(with->decode(with->encode(text)), text);
  bytes.clear();
  for (const Token token : without->encode(text)) bytes += without->token_bytes(token);
  EXPECT_EQ(bytes, text);
}

TEST(Tokenizer, ControlTokensAreRenderedOnlyIfAsked) {
  const auto tokenizer = test::load_tokenizer(test::vocabulary_file("bpe", "gpt-2"));
  const std::string text = "<|im_start|>user\nHi<|im_end|>";
  const auto ids = tokenizer->encode(text, true);
  EXPECT_EQ(tokenizer->token_bytes(ids.front()), "");
  EXPECT_EQ(tokenizer->token_bytes(ids.front(), true), "<|im_start|>");
  EXPECT_EQ(tokenizer->decode(ids), "user\nHi");
  EXPECT_EQ(tokenizer->decode(ids, true), text);
  EXPECT_EQ(ids.back(), tokenizer->eos());
  EXPECT_TRUE(tokenizer->is_end_of_generation(ids.back()));
  EXPECT_FALSE(tokenizer->is_end_of_generation(ids.front()));
  EXPECT_FALSE(tokenizer->is_end_of_generation(-1));
  EXPECT_FALSE(tokenizer->is_end_of_generation(tokenizer->vocab_size()));
}

TEST(Tokenizer, ControlTokensAreFoundOnlyWithinPiecesThatParseThem) {
  const auto tokenizer = test::load_tokenizer(test::vocabulary_file("bpe", "gpt-2"));
  const Token end = tokenizer->encode("<|im_end|>", true).front();
  using Pieces = std::vector<TextPiece>;
  const auto ends_in = [&](const Pieces& pieces) {
    return std::ranges::count(tokenizer->encode(pieces), end);
  };
  EXPECT_EQ(ends_in({{"a<|im_end|>b", true}}), 1);
  EXPECT_EQ(ends_in({{"a<|im_end|>b", false}}), 0);
  EXPECT_EQ(ends_in({{"<|im_end|>", false}, {"<|im_end|>", true}, {"<|im_end|>", false}}), 1);
  EXPECT_EQ(ends_in({{"<|im_", true}, {"end|>", false}}), 0);
  EXPECT_EQ(ends_in({{"<|im_", false}, {"end|>", true}}), 0);
  EXPECT_EQ(ends_in({{"<|im_", true}, {"end|>", true}}), 0);
  EXPECT_EQ(tokenizer->encode(Pieces{}), std::vector<Token>());
  EXPECT_EQ(tokenizer->encode(Pieces{{"", true}, {"", false}}), std::vector<Token>());
}

TEST(Tokenizer, TokensBeyondTheVocabularyAreRefused) {
  const auto tokenizer = test::load_tokenizer(test::vocabulary_file("bpe", "gpt-2"));
  EXPECT_THROW(tokenizer->token_bytes(tokenizer->vocab_size()), Error);
  EXPECT_THROW(tokenizer->token_bytes(-1), Error);
  EXPECT_THROW(tokenizer->decode({0, -5}), Error);
}

TEST(Tokenizer, BosFlagIsTheFilesOrElseTheKindsDefault) {
  const auto add_bos = [](test::GgufWriter writer) {
    return test::load_tokenizer(writer)->add_bos();
  };
  EXPECT_FALSE(add_bos(test::vocabulary_file("bpe", "gpt-2")));
  EXPECT_TRUE(add_bos(test::vocabulary_file("bpe", "llama-bpe")));
  EXPECT_TRUE(add_bos(test::vocabulary_file("spm", "prefix")));
  EXPECT_TRUE(add_bos(test::vocabulary_file("raw_bpe", "gemma4")));
  EXPECT_TRUE(
      add_bos(test::vocabulary_file("bpe", "gpt-2").add("tokenizer.ggml.add_bos_token", true)));
  EXPECT_FALSE(
      add_bos(test::vocabulary_file("spm", "prefix").add("tokenizer.ggml.add_bos_token", false)));
  // Nothing to add if the file names no BOS, however it says so.
  EXPECT_FALSE(
      add_bos(test::vocabulary_file("bpe", "llama-bpe").remove("tokenizer.ggml.bos_token_id")));
  EXPECT_FALSE(add_bos(test::vocabulary_file("bpe", "llama-bpe")
                           .remove("tokenizer.ggml.bos_token_id")
                           .add("tokenizer.ggml.bos_token_id", std::uint32_t{0xFFFFFFFF})));
  EXPECT_TRUE(test::load_tokenizer(
                  test::vocabulary_file("spm", "prefix").add("tokenizer.ggml.add_eos_token", true))
                  ->add_eos());
}

TEST(Tokenizer, NamesWhatItIs) {
  const auto bpe = test::load_tokenizer(test::vocabulary_file("bpe", "smollm"));
  EXPECT_EQ(bpe->model_name(), "gpt2");
  EXPECT_EQ(bpe->pre_name(), "smollm");
  const auto spm = test::load_tokenizer(test::vocabulary_file("spm", "prefix"));
  EXPECT_EQ(spm->model_name(), "llama");
  EXPECT_EQ(spm->pre_name(), "");
  const auto unnamed =
      test::load_tokenizer(test::vocabulary_file("bpe", "gpt-2").remove("tokenizer.ggml.pre"));
  EXPECT_EQ(unnamed->pre_name(), "default");
}

TEST(Tokenizer, MayBeUsedFromSeveralThreads) {
  for (const auto& [name, variant] : {std::pair("bpe", "qwen2"), std::pair("spm", "prefix")}) {
    const auto tokenizer = test::load_tokenizer(test::vocabulary_file(name, variant));
    const std::string text = test::read_file(test::source_dir() / "bench/data/ppl_1k.txt");
    const auto expected = tokenizer->encode(text);
    std::vector<std::vector<Token>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] { result = tokenizer->encode(text); });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& result : results) EXPECT_EQ(result, expected);
  }
}

/// CPU time, because other programs run on the machine, too.
double seconds_to_encode(const Tokenizer& tokenizer, const std::string& text) {
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    const std::clock_t start = std::clock();
    EXPECT_FALSE(tokenizer.encode(text).empty());
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return best;
}

TEST(Tokenizer, ARunWithoutSpacesTakesTimeInProportion) {
  // Memory stays with the process: short runs get the same pages again, long ones would get fresh
  // ones each time, and what those take is the host's.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  std::mt19937 random(3);
  std::string letters(300000, ' ');
  for (char& c : letters) c = "etaoinshrdlu"[random() % 12];
  const std::string runs[] = {letters, std::string(300000, 'e'), std::string(300000, '\n')};
  for (const auto& [name, variant] : {std::pair("bpe", "gpt-2"), std::pair("bpe", "llama-bpe"),
                                      std::pair("spm", "prefix"), std::pair("raw_bpe", "gemma4")}) {
    const auto tokenizer = test::load_tokenizer(test::vocabulary_file(name, variant));
    for (const std::string& run : runs) {
      const double whole = seconds_to_encode(*tokenizer, run);
      const double tenth = seconds_to_encode(*tokenizer, run.substr(0, run.size() / 10));
      EXPECT_LT(whole, 1.0) << name << " " << variant << ": " << run.substr(0, 4);
      // Quadratic time would be 100 times as much. Below 10 ms a clock tick decides.
      if (whole > 0.01) {
        EXPECT_LT(whole, 40 * tenth) << name << " " << variant;
      }
    }
  }
}

}  // namespace
}  // namespace quant
