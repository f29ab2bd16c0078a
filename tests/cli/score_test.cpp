// quant score: jobs in, results out, line by line.
#include <gtest/gtest.h>

#include <sstream>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

class ScoreCommand : public testing::Test {
 protected:
  CommandResult score(const std::string& jobs, std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"score", model, "-j", "1"});
    return Command(arguments).pipe_in(jobs).run();
  }
  std::vector<nlohmann::json> lines(const CommandResult& result) const {
    expect_quiet_success(result);
    std::vector<nlohmann::json> all;
    std::istringstream text(result.out);
    for (std::string line; std::getline(text, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }
  std::string write(const std::string& name, const std::string& text) const {
    write_file(dir.path() / name, text);
    return (dir.path() / name).string();
  }

  TempDir dir;
  std::string model = write_tiny_model(dir.path(), {});
};

TEST_F(ScoreCommand, AnswersEachLineInOrder) {
  const auto answers = lines(score(
      "{\"id\": \"first\", \"context\": \"the rain in spain\", \"continuation\": \" falls\"}\n"
      "\n"
      "{\"context\": \"the rain in spain\", \"continuation\": \" stays\", \"id\": [1, 2]}\n"
      "{\"context_ids\": [256, 116, 104], \"continuation_ids\": [101, 32]}\n"));
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0]["line"], 1);
  EXPECT_EQ(answers[0]["id"], "first");
  EXPECT_EQ(answers[1]["line"], 3);
  EXPECT_EQ(answers[1]["id"], (std::vector<int>{1, 2}));
  EXPECT_FALSE(answers[2].contains("id"));
  EXPECT_EQ(answers[2]["continuation_ids"], (std::vector<int>{101, 32}));
  EXPECT_EQ(answers[2]["context_tokens"], 3);
  for (const nlohmann::json& answer : answers) {
    double sum = 0.0;
    for (const double value : answer["token_log_likelihoods"]) sum += value;
    EXPECT_DOUBLE_EQ(answer["log_likelihood"].get<double>(), sum);
    EXPECT_LT(sum, 0.0);
    EXPECT_TRUE(answer["greedy"].is_boolean());
    EXPECT_EQ(answer["dropped_tokens"], 0);
  }
}

TEST_F(ScoreCommand, ALineIsAnsweredBeforeTheNextIsThere) {
  // The second line is broken, and the answer to the first is there all the same.
  const CommandResult result =
      score("{\"context\": \"a\", \"continuation\": \"b\"}\n{\"context\": \"a\"}\n");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(nlohmann::json::parse(result.out)["line"], 1);
  EXPECT_NE(result.err.find("standard input, line 2: \"continuation\" is missing"),
            std::string::npos)
      << result.err;
}

TEST_F(ScoreCommand, SumsAreThoseOfPerplexity) {
  const std::string text = "the rain in spain stays mainly in the plain";
  const auto answers =
      lines(score("{\"context\": \"\", \"continuation\": \"" + text + "\"}", {"-k", "q8_0"}));
  const nlohmann::json ppl =
      run_quant({model, "--ppl", write("text.txt", text), "--json", "-j", "1", "-k", "q8_0"})
          .json();
  const auto losses = answers.at(0)["token_log_likelihoods"];
  EXPECT_EQ(losses.size(), ppl["scored_tokens"].get<std::size_t>());
  EXPECT_DOUBLE_EQ(-answers[0]["log_likelihood"].get<double>() / static_cast<double>(losses.size()),
                   ppl["mean_nll"].get<double>());
}

TEST_F(ScoreCommand, AWholeTextRollsOverTheContext) {
  const std::string text = "the rain in spain stays mainly in the plain";
  const std::string job = nlohmann::json{{"text", text}}.dump();
  const nlohmann::json whole = lines(score(job)).at(0);
  const auto pair = lines(score("{\"context\": \"\", \"continuation\": \"" + text + "\"}")).at(0);
  EXPECT_EQ(whole["log_likelihood"], pair["log_likelihood"]);
  const nlohmann::json rolled = lines(score(job, {"-c", "16"})).at(0);
  EXPECT_EQ(rolled["continuation_ids"], whole["continuation_ids"]);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(rolled["token_log_likelihoods"][i], whole["token_log_likelihoods"][i]);
  }
  EXPECT_NE(rolled["token_log_likelihoods"][16], whole["token_log_likelihoods"][16]);
  expect_refusal(score("{\"text\": \"\"}"), 2, {"line 1", "no tokens"});
}

TEST_F(ScoreCommand, ReadsAndWritesFiles) {
  const std::string jobs = write("jobs.jsonl", "{\"context\": \"a\", \"continuation\": \"b\"}\n");
  const CommandResult printed = run_quant({"score", model, jobs});
  const std::string out = (dir.path() / "out.jsonl").string();
  const CommandResult written = run_quant({"score", model, jobs, "-o", out});
  expect_quiet_success(written);
  EXPECT_EQ(written.out, "");
  EXPECT_EQ(read_file(out), printed.out);
  EXPECT_EQ(lines(printed).size(), 1u);
}

TEST_F(ScoreCommand, LongContextsAreAnErrorUnlessTruncated) {
  const std::string jobs =
      "{\"context\": \"" + std::string(100, 'x') + "\", \"continuation\": \"yz\"}";
  expect_refusal(score(jobs, {"-c", "32"}), 2, {"line 1", "102", "context of 32", "--truncate"});
  const auto answers = lines(score(jobs, {"-c", "32", "--truncate"}));
  EXPECT_EQ(answers.at(0)["dropped_tokens"], 70);
  EXPECT_EQ(answers[0]["context_tokens"], 31);
  // The model's own context is the limit without -c.
  expect_refusal(
      score("{\"context\": \"" + std::string(600, 'x') + "\", \"continuation\": \"yz\"}"), 2,
      {"context of 512"});
}

TEST_F(ScoreCommand, ErrorsNameTheLineAndTheField) {
  const auto refused = [&](const std::string& line, const std::vector<std::string>& texts,
                           std::vector<std::string> arguments = {}) {
    std::vector<std::string> all = texts;
    all.push_back("standard input, line 2");
    expect_refusal(score("\n" + line, std::move(arguments)), 2, all);
  };
  refused("{\"context\": ", {"no JSON"});
  refused("[1, 2]", {"\"context\" is missing"});
  refused("{\"context\": 1, \"continuation\": \"a\"}", {"\"context\" is not a text"});
  refused("{\"context\": \"a\", \"continuation\": \"\"}", {"no tokens of its own"});
  refused("{\"context_ids\": [1], \"continuation_ids\": []}", {"continuation has no tokens"});
  refused("{\"context_ids\": [1]}", {"\"continuation_ids\" is missing"});
  refused("{\"context_ids\": [1], \"continuation_ids\": [999]}", {"token 999"});
  refused("{\"context_ids\": [1], \"continuation_ids\": [\"a\"]}", {"list of token ids"});
  refused("{\"context\": \"a\", \"endings\": [\"b\"], \"label\": 1}", {"label 1 is none of 1"},
          {"--choices"});
  refused("{\"context\": \"a\", \"endings\": [], \"label\": 0}", {"\"endings\" is empty"},
          {"--choices"});
  refused("{\"context\": \"a\", \"endings\": [\"b\", \"\"], \"label\": 0}", {"ending is empty"},
          {"--choices"});
  refused("{\"context\": \"a\", \"endings\": [\"b\"]}", {"\"label\" is missing"}, {"--choices"});
  expect_refusal(score("", {"--choices"}), 2, {"no items"});
  const std::string missing = (dir.path() / "missing.jsonl").string();
  expect_refusal(run_quant({"score", model, missing}), 4, {missing});
}

TEST_F(ScoreCommand, ChoicesAreThoseOfTheContinuations) {
  const std::vector<std::string> contexts = {"the rain in spain", "in the plain", "a stone"};
  const std::vector<std::string> endings = {"falls", "is heard again and again", "stays"};
  std::string items;
  std::string jobs;
  for (const std::string& context : contexts) {
    items += nlohmann::json{{"context", context}, {"endings", endings}, {"label", 1}}.dump() + "\n";
    for (const std::string& ending : endings) {
      jobs += nlohmann::json{{"context", context}, {"continuation", " " + ending}}.dump() + "\n";
    }
  }
  const CommandResult result = score(items, {"--choices", "--json"});
  expect_quiet_success(result);
  const nlohmann::json record = result.json();
  const auto answers = lines(score(jobs));
  double right = 0.0;
  double right_norm = 0.0;
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    std::size_t best = 0;
    std::size_t best_norm = 0;
    const auto sum = [&](std::size_t e) {
      return answers.at(3 * i + e)["log_likelihood"].get<double>();
    };
    const auto norm = [&](std::size_t e) {
      return sum(e) / static_cast<double>(endings[e].size());
    };
    for (std::size_t e = 1; e < 3; ++e) {
      if (sum(e) > sum(best)) best = e;
      if (norm(e) > norm(best_norm)) best_norm = e;
    }
    EXPECT_EQ(record["items"][i]["choice"], best);
    EXPECT_EQ(record["items"][i]["choice_norm"], best_norm);
    EXPECT_EQ(record["items"][i]["log_likelihoods"][1], sum(1));
    right += best == 1 ? 1.0 / 3.0 : 0.0;
    right_norm += best_norm == 1 ? 1.0 / 3.0 : 0.0;
  }
  EXPECT_NEAR(record["acc"].get<double>(), right, 1e-12);
  EXPECT_NEAR(record["acc_norm"].get<double>(), right_norm, 1e-12);
  EXPECT_EQ(record["key_type"], "fp16");
  EXPECT_EQ(record["math"], "exact");

  const CommandResult text = score(items, {"--choices"});
  expect_quiet_success(text);
  for (const char* part : {"acc ", "acc_norm ", "±", "items"}) {
    EXPECT_NE(text.out.find(part), std::string::npos) << text.out;
  }
  // Without a delimiter the endings are other texts.
  const nlohmann::json joined = score(items, {"--choices", "--json", "--delimiter", ""}).json();
  EXPECT_NE(joined["items"][0]["log_likelihoods"], record["items"][0]["log_likelihoods"]);
}

}  // namespace
}  // namespace quant::test
