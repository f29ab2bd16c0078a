// Construction of prompts with hidden keys, and what is made of their losses.
#include "quant/needle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "eval/sentences.h"
#include "quant/greedy.h"
#include "quant/proportion.h"
#include "quant/score.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

const std::string& text() {
  static const std::string contents = read_file(source_dir() / "bench" / "data" / "ppl_1k.txt");
  return contents;
}

const std::shared_ptr<const Model>& tiny() {
  static const auto model = [] {
    const TempDir dir;
    return Model::load(write_tiny_model(dir.path(), {}));
  }();
  return model;
}

NeedleOptions small_options() {
  NeedleOptions options;
  options.lengths = {300, 512};
  options.trials = 3;
  options.seed = 7;
  return options;
}

std::string decoded(const Model& model, const NeedlePrompt& prompt) {
  return model.tokenizer().decode(prompt.window.tokens);
}

std::string answer_of(const Model& model, const NeedlePrompt& prompt) {
  std::string answer;
  for (std::size_t i = static_cast<std::size_t>(prompt.window.first_scored);
       i < prompt.window.tokens.size(); ++i) {
    answer += model.tokenizer().token_bytes(prompt.window.tokens[i]);
  }
  return answer;
}

int count(const std::string& in, const std::string& what) {
  int n = 0;
  for (std::size_t at = in.find(what); at != std::string::npos; at = in.find(what, at + 1)) ++n;
  return n;
}

/// What must hold of any prompt over text().
void expect_well_formed(const Model& model, const NeedlePrompt& prompt) {
  SCOPED_TRACE(testing::Message() << prompt.length << " " << prompt.depth << " " << prompt.trial);
  EXPECT_EQ(prompt.window.tokens.size(), static_cast<std::size_t>(prompt.length));
  EXPECT_EQ(prompt.key.size(), 7u);
  EXPECT_EQ(text().find(prompt.key), std::string::npos);
  const std::string whole = decoded(model, prompt);
  EXPECT_EQ(count(whole, prompt.key), 2);  // needle and answer
  EXPECT_EQ(answer_of(model, prompt), " " + prompt.key);
  const std::string needle = prompt.statement + " " + prompt.key + ".";
  const std::string before = text().substr(prompt.begin, prompt.needle - prompt.begin);
  const std::string after = text().substr(prompt.needle, prompt.end - prompt.needle);
  const std::size_t at = whole.find(needle);
  ASSERT_NE(at, std::string::npos) << whole;
  EXPECT_TRUE(whole.substr(0, at).ends_with(before.empty() ? "" : before + " "));
  const std::string rest = whole.substr(at + needle.size());
  EXPECT_TRUE(rest.starts_with(after) || rest.starts_with(" " + after)) << rest;
  EXPECT_TRUE(whole.ends_with(prompt.statement + " " + prompt.key));
}

TEST(NeedlePrompts, HaveExactLengthsInTheOrderOfTheOptions) {
  const NeedleOptions options = small_options();
  const std::vector<NeedlePrompt> prompts = needle_prompts(*tiny(), text(), options);
  ASSERT_EQ(prompts.size(), 2u * 5u * 3u);
  std::set<std::string> keys;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(prompts[i].length, options.lengths[i / 15]);
    EXPECT_EQ(prompts[i].depth, options.depths[i / 3 % 5]);
    EXPECT_EQ(prompts[i].trial, static_cast<int>(i % 3));
    expect_well_formed(*tiny(), prompts[i]);
    const NeedlePrompt& p = prompts[i];
    const std::string first =
        p.depth == 0.0 ? p.statement : text().substr(p.begin, p.needle - p.begin);
    EXPECT_TRUE(decoded(*tiny(), p).starts_with(first));
    keys.insert(prompts[i].key);
  }
  EXPECT_EQ(keys.size(), prompts.size());
}

TEST(NeedlePrompts, StandAtTheNearestEndOfASentence) {
  const std::vector<std::size_t> ends = sentence_ends(text());
  for (const NeedlePrompt& p : needle_prompts(*tiny(), text(), small_options())) {
    const double size = static_cast<double>(p.end - p.begin);
    const auto error = [&](std::size_t byte) {
      return std::abs(100.0 * static_cast<double>(byte - p.begin) / size - p.depth);
    };
    EXPECT_TRUE(std::ranges::binary_search(ends, p.end));
    EXPECT_TRUE(p.needle == p.begin || std::ranges::binary_search(ends, p.needle));
    EXPECT_TRUE(p.depth != 0.0 || p.needle == p.begin);
    EXPECT_TRUE(p.depth != 100.0 || p.needle == p.end);
    // Tokens and bytes are not in step, by a few percent.
    EXPECT_NEAR(std::abs(p.placed - p.depth), error(p.needle), 4.0);
    for (const std::size_t end : ends) {
      if (end < p.begin || end > p.end) continue;
      EXPECT_LE(error(p.needle), error(end) + 4.0);
    }
  }
}

TEST(NeedlePrompts, DependOnTheSeedAndThemselvesAlone) {
  const std::vector<NeedlePrompt> all = needle_prompts(*tiny(), text(), small_options());
  NeedleOptions options = small_options();
  options.lengths = {512};
  options.depths = {100.0, 25.0};
  options.trials = 2;
  const std::vector<NeedlePrompt> some = needle_prompts(*tiny(), text(), options);
  EXPECT_EQ(some[0].window.tokens, all[27].window.tokens);
  EXPECT_EQ(some[3].window.tokens, all[19].window.tokens);
  options.seed = 8;
  const std::vector<NeedlePrompt> others = needle_prompts(*tiny(), text(), options);
  EXPECT_NE(others[0].key, some[0].key);
  EXPECT_NE(others[0].window.tokens, some[0].window.tokens);
}

TEST(NeedlePrompts, AskInTheChatTemplate) {
  NeedleOptions options = small_options();
  options.lengths = {512};
  options.chat = ChatFormat::kChatMl;
  for (const NeedlePrompt& p : needle_prompts(*tiny(), text(), options)) {
    expect_well_formed(*tiny(), p);
    const std::string whole = decoded(*tiny(), p);
    EXPECT_TRUE(whole.starts_with("<|im_start|>user\nSomewhere in the following text stands the"));
    EXPECT_TRUE(
        whole.ends_with("?<|im_end|>\n<|im_start|>assistant\n" + p.statement + " " + p.key));
  }
}

TEST(NeedlePrompts, UseNoWordsOfTheText) {
  // Every statement but those about one owner stands in the text already.
  std::string crowded = text();
  for (const char* secret : {"secret code", "magic number", "access number", "serial number",
                             "pass number", "registration number"}) {
    for (const char* owner :
         {"observatory", "iron chest", "blue door", "north gate", "old library", "silver mine",
          "glass tower", "river ferry", "post office", "stone bridge", "mountain hut"}) {
      for (const char* of : {"of", "for"}) {
        crowded += std::string(" The ") + secret + " " + of + " the " + owner + " is known.";
      }
    }
  }
  for (const NeedlePrompt& p : needle_prompts(*tiny(), crowded, small_options())) {
    EXPECT_TRUE(p.statement.ends_with("the lighthouse is")) << p.statement;
  }
}

TEST(NeedlePrompts, OfRealVocabularies) {
  const auto expect_models = [](const std::filesystem::path& path) {
    if (!std::filesystem::exists(path)) return 0;
    const auto model = Model::load(path.string(), {.pack_weights = false});
    NeedleOptions options = small_options();
    options.allow_longer = true;
    for (const bool chat : {false, true}) {
      if (chat) options.chat = detect_chat_format(model->chat_template());
      for (const NeedlePrompt& p : needle_prompts(*model, text(), options)) {
        expect_well_formed(*model, p);
      }
    }
    return 1;
  };
  int models = 0;
  for (const char* name : {"llama_spm_q8", "gemma3", "qwen2"}) {
    models += expect_models(shared_dir() / "ref" / "tiny" / (std::string(name) + ".gguf"));
  }
  for (const char* name : {"smollm2-135m", "gemma-3-270m-q4_k_m", "qwen2.5-0.5b"}) {
    models += expect_models(models_dir() / (std::string(name) + ".gguf"));
  }
  if (models == 0) GTEST_SKIP() << "needs real models or ../shared/ref/tiny, which are not here";
}

TEST(NeedlePrompts, Refusals) {
  const auto refused = [](const std::string& message, const auto& change,
                          const std::string& hay = text()) {
    NeedleOptions options = small_options();
    change(options);
    expect_error(ErrorKind::kUsage, message, [&] { needle_prompts(*tiny(), hay, options); });
  };
  refused("a length of 513 is above the model's context length of 512; say --allow-longer",
          [](NeedleOptions& o) {
            o.lengths = {300, 513};
          });
  refused("needle, question and answer take", [](NeedleOptions& o) { o.lengths = {60}; });
  refused("depth of 101", [](NeedleOptions& o) { o.depths = {101.0}; });
  refused("length 300 is given twice", [](NeedleOptions& o) { o.lengths = {300, 512, 300}; });
  refused("depth 25 is given twice", [](NeedleOptions& o) { o.depths = {25.0, 25.0}; });
  refused("at least one", [](NeedleOptions& o) { o.trials = 0; });
  const auto nothing = [](NeedleOptions&) {};
  refused("the text is too short: a length of 300 needs", nothing, "One sentence. And another.");
  refused("no ends of sentences", nothing, std::string(1000, 'a'));
  NeedleOptions longer = small_options();
  longer.lengths = {600};
  longer.allow_longer = true;
  EXPECT_EQ(needle_prompts(*tiny(), text(), longer).front().window.tokens.size(), 600u);
}

TEST(Needle, ScoresAreThoseOfSingleSessions) {
  NeedleOptions options = small_options();
  options.lengths = {300};
  options.trials = 1;
  const std::vector<NeedlePrompt> prompts = needle_prompts(*tiny(), text(), options);
  const std::vector<KvSpec> specs = {{{KvType::kFp32, 0, 0}, {KvType::kFp32, 0, 0}},
                                     {{KvType::kTurboKv4b, 0, 0}, {KvType::kTurboKv4b, 0, 0}},
                                     {{KvType::kUniform2b, 40, 4}, {KvType::kFp16, 0, 4}}};
  Lockstep lockstep(tiny(), {.kv = {}, .context = 300, .batch = 128}, specs);
  const LockstepResult result = measure_lockstep(lockstep, needle_plan(prompts));
  for (std::size_t c = 0; c < specs.size(); ++c) {
    const std::vector<Retrieval> retrievals = retrievals_of(result, static_cast<int>(c));
    ASSERT_EQ(retrievals.size(), prompts.size());
    Session session(tiny(), {.kv = specs[c], .context = 300, .batch = 77});
    Scorer scorer(session);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const std::vector<Token>& tokens = prompts[i].window.tokens;
      const auto split = tokens.begin() + prompts[i].window.first_scored;
      const Score score = scorer.score({{tokens.begin(), split}, {split, tokens.end()}});
      EXPECT_EQ(retrievals[i].log_probability, score.log_likelihood);
      EXPECT_EQ(retrievals[i].exact, score.greedy);
    }
  }
}

TEST(Needle, ExactMeansThatGreedyTextIsTheAnswer) {
  NeedleOptions options = small_options();
  options.lengths = {300};
  options.trials = 1;
  std::vector<NeedlePrompt> prompts = needle_prompts(*tiny(), text(), options);
  Session session(tiny(), {.kv = {{KvType::kFp32, 0, 0}, {KvType::kFp32, 0, 0}}, .context = 300});
  std::vector<bool> expected;
  for (NeedlePrompt& p : prompts) {
    // The answer that the model would give; every second one with another last token.
    const auto split = p.window.tokens.begin() + p.window.first_scored;
    const std::vector<Token> prompt(p.window.tokens.begin(), split);
    const std::vector<Token> greedy = greedy_text(session, prompt, 8);
    p.window.tokens = prompt;
    p.window.tokens.insert(p.window.tokens.end(), greedy.begin(), greedy.end());
    expected.push_back(expected.empty() || !expected.back());
    if (!expected.back()) p.window.tokens.back() = (p.window.tokens.back() + 1) % 250;
  }
  const std::vector<KvSpec> specs = {{{KvType::kFp32, 0, 0}, {KvType::kFp32, 0, 0}}};
  Lockstep lockstep(tiny(), {.kv = {}, .context = 300}, specs);
  const std::vector<Retrieval> retrievals =
      retrievals_of(measure_lockstep(lockstep, needle_plan(prompts)), 0);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(retrievals[i].exact, expected[i]);
}

TEST(Needle, ComparisonsArePairedAndCorrected) {
  std::vector<Retrieval> baseline, same, worse;
  for (int i = 0; i < 12; ++i) {
    baseline.push_back({-1.0 - 0.1 * i, i != 0});
    same.push_back(baseline.back());
    worse.push_back({baseline.back().log_probability - 2.0 - 0.01 * i, i < 6});
  }
  const std::vector<std::vector<Retrieval>> all = {baseline, same, worse};
  const std::vector<RetrievalComparison> table = compare_retrievals(all);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0].lost + table[0].gained, 0);
  EXPECT_EQ(table[0].mcnemar_p, 1.0);
  EXPECT_EQ(table[0].paired.delta_nll, 0.0);
  EXPECT_EQ(table[1].lost, 6);
  EXPECT_EQ(table[1].gained, 1);
  EXPECT_EQ(table[1].mcnemar_p, mcnemar_exact_p(6, 1));
  EXPECT_EQ(table[1].adjusted_mcnemar_p, 2.0 * table[1].mcnemar_p);
  EXPECT_EQ(table[1].paired.blocks, 12);  // a trial a block
  EXPECT_NEAR(table[1].paired.delta_nll, 2.055, 1e-12);
  EXPECT_GT(table[1].paired.interval.low, 2.0);
  EXPECT_LT(table[1].paired.interval.high, 2.11);
  EXPECT_EQ(table[1].paired.p_value, 2.0 / 4096.0);  // all signs alike, of 12 trials
  EXPECT_EQ(table[1].adjusted_p, 4.0 / 4096.0);
  const RetrievalSummary summary = summarize_retrievals(worse);
  EXPECT_EQ(summary.trials, 12);
  EXPECT_EQ(summary.exact, 6);
  EXPECT_NEAR(summary.log_probability, -3.605, 1e-12);
}

}  // namespace
}  // namespace quant::test
