// --save-logits and --kl-base against files and figures of llama-perplexity b11434.
#include "quant/logits_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cli/command.h"

namespace quant::test {
namespace {

class LogitsFileCommand : public testing::Test {
 protected:
  static std::string peer(const std::string& name) { return (data_dir() / "peer" / name).string(); }
  /// The peer's text and settings.
  CommandResult measure(const std::string& name, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {peer(name), "-k", "fp32", "-v", "fp32", "-j", "1"});
    return run_quant(arguments);
  }
  CommandResult save(const std::string& path) const {
    return measure("llama_linear.gguf",
                   {"--ppl", text, "-c", "32", "--chunks", "7", "--save-logits", path, "--json"});
  }

  TempDir dir;
  std::string text = peer("logits_file.txt");
  std::string base = peer("logits_file.bin");
  std::string saved = (dir.path() / "saved.bin").string();
};

TEST_F(LogitsFileCommand, WritesWhatThePeerWrites) {
  const CommandResult result = save(saved);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["protocol"], "llamacpp");
  const std::string ours = read_file(saved);
  const std::string theirs = read_file(base);
  ASSERT_EQ(ours.size(), theirs.size());
  const std::size_t header = 20 + 7 * 32 * 4;
  EXPECT_EQ(ours.substr(0, header), theirs.substr(0, header));
  const LogitsReader a(saved);
  const LogitsReader b(base);
  for (std::int64_t row = 0; row < a.header().rows(); ++row) {
    EXPECT_NEAR(a.row(row).scale, b.row(row).scale, 1e-8f);
    EXPECT_NEAR(a.row(row).minimum, b.row(row).minimum, 2e-5f);
    for (std::size_t v = 0; v < 288; ++v) {
      EXPECT_LE(std::abs(a.row(row).codes[v] - b.row(row).codes[v]), 2) << row << " " << v;
    }
  }
}

TEST_F(LogitsFileCommand, SavingDoesNotChangeTheResult) {
  const CommandResult plain =
      measure("llama_linear.gguf",
              {"--ppl", text, "-c", "32", "--chunks", "7", "--protocol", "llamacpp", "--json"});
  EXPECT_EQ(save(saved).json()["mean_nll"], plain.json()["mean_nll"]);
}

TEST_F(LogitsFileCommand, ComparesAsThePeerDoes) {
  const nlohmann::json peer_says = nlohmann::json::parse(read_file(peer("logits_file.json")));
  for (const std::vector<std::string>& source : std::vector<std::vector<std::string>>{
           {"--ppl"}, {"--ppl", text}, {"--ppl", text, "-c", "32", "--protocol", "llamacpp"}}) {
    std::vector<std::string> arguments = source;
    arguments.insert(arguments.end(), {"--kl-base", base, "--json"});
    const CommandResult result = measure("llama_yarn.gguf", arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const nlohmann::json record = result.json();
    for (const auto& [name, value] : peer_says.items()) {
      EXPECT_NEAR(record[name].get<double>(), value.get<double>(),
                  2e-5 * std::max(1.0, std::abs(value.get<double>())))
          << name;
    }
    EXPECT_EQ(record["scored_tokens"], 105);
    EXPECT_EQ(record["text_path"].is_null(), source.size() == 1);
    EXPECT_EQ(record["kl_base_path"], base);
  }
}

TEST_F(LogitsFileCommand, TheSameConfigurationHasNoDivergence) {
  ASSERT_EQ(save(saved).exit_code, 0);
  const nlohmann::json same =
      measure("llama_linear.gguf", {"--ppl", "--kl-base", saved, "--json"}).json();
  EXPECT_NEAR(same["kl_mean"].get<double>(), 0.0, 1e-7);
  EXPECT_NEAR(same["kl_max"].get<double>(), 0.0, 1e-5);
  EXPECT_EQ(same["same_top1"], 1.0);
  EXPECT_NEAR(same["delta_nll"].get<double>(), 0.0, 1e-4);
  EXPECT_NEAR(same["base_perplexity"].get<double>(), same["perplexity"].get<double>(), 0.05);
  const nlohmann::json packed = run_quant({peer("llama_linear.gguf"), "--ppl", "--kl-base", saved,
                                           "--json", "-k", "uniform_2b"})
                                    .json();
  EXPECT_GT(packed["kl_mean"].get<double>(), 1e-5);
}

TEST_F(LogitsFileCommand, AnOffsetIsBeforeTheFilesTokens) {
  const nlohmann::json moved = measure("llama_linear.gguf", {"--ppl", text, "-c", "32", "--offset",
                                                             "9", "--save-logits", saved, "--json"})
                                   .json();
  EXPECT_EQ(moved["text_offset"], 9);
  const nlohmann::json same =
      measure("llama_linear.gguf", {"--ppl", "--kl-base", saved, "--json"}).json();
  EXPECT_EQ(same["mean_nll"], moved["mean_nll"]);
  EXPECT_NEAR(same["kl_max"].get<double>(), 0.0, 1e-5);
  expect_refusal(measure("llama_linear.gguf", {"--ppl", text, "--kl-base", saved}), 2,
                 {"other tokens"});
}

TEST_F(LogitsFileCommand, FewerChunksAndAReport) {
  const CommandResult result =
      measure("llama_yarn.gguf", {"--ppl", "--kl-base", base, "--chunks", "2"});
  expect_quiet_success(result);
  for (const char* part : {"2 contexts of up to 32", "KL ", "same top", "base "}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
}

TEST_F(LogitsFileCommand, Refusals) {
  const auto refused = [&](std::vector<std::string> arguments, int code,
                           const std::vector<std::string>& texts) {
    expect_refusal(measure("llama_linear.gguf", std::move(arguments)), code, texts);
  };
  refused({"--ppl", text, "--save-logits", saved, "--protocol", "strided"}, 2,
          {"--protocol llamacpp", "strided"});
  refused({"--ppl", text, "--kl-base", base, "--protocol", "context"}, 2, {"--protocol llamacpp"});
  refused({"--ppl", "--kl-base", text}, 4, {text, "not a file of log-probabilities"});
  refused({"--ppl", "--kl-base", saved}, 4, {saved});
  refused({"--ppl", text, "-c", "16", "--kl-base", base}, 2, {"other tokens"});
  refused({"--ppl", "-c", "16", "--kl-base", base}, 2, {base, "contexts of 32", "-c 16"});
  refused({"--ppl", "--offset", "9", "--kl-base", base}, 2, {base, "--offset", "--ppl FILE"});
  const std::string other = (dir.path() / "other.txt").string();
  std::string words = read_file(text);
  words[100] = words[100] == 'z' ? 'y' : 'z';
  write_file(other, words);
  refused({"--ppl", other, "--kl-base", base}, 2, {"other tokens"});
  refused({"--ppl", text, "-c", "32", "--save-logits", (dir.path() / "no" / "file").string()}, 4,
          {"no/file"});
  const CommandResult full =
      measure("llama_linear.gguf", {"--ppl", text, "-c", "32", "--save-logits", "/dev/full"});
  EXPECT_EQ(full.exit_code, 4);
  EXPECT_NE(full.err.find("/dev/full"), std::string::npos) << full.err;
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir.path()))
    ++files;
  EXPECT_EQ(files, 1u);  // other.txt, nothing half-written
}

TEST_F(LogitsFileCommand, AnInterruptLeavesTheOldFileAndNoOther) {
  std::string words = read_file(text);
  while (words.size() < 4'000'000) words += words;
  const std::string endless = (dir.path() / "endless.txt").string();
  write_file(endless, words);
  write_file(saved, "old");
  const auto files = [&] {
    const std::filesystem::directory_iterator all(dir.path());
    return std::distance(begin(all), end(all));
  };
  Command command(
      {peer("llama_linear.gguf"), "--ppl", endless, "-c", "32", "-j", "1", "--save-logits", saved});
  command.start();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (files() < 3 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(files(), 3);  // text, old file, and the temporary one
  command.interrupt();
  EXPECT_EQ(command.wait(std::chrono::seconds(10)).signal, SIGINT);
  EXPECT_EQ(files(), 2);
  EXPECT_EQ(read_file(saved), "old");
}

TEST_F(LogitsFileCommand, CompareAndCheckHaveNone) {
  const std::string model = peer("llama_linear.gguf");
  for (const char* option : {"--save-logits", "--kl-base"}) {
    expect_refusal(run_quant({"compare", model, "--ppl", text, "-k", "uniform_4b", option, saved}),
                   2, {option});
    expect_refusal(run_quant({option, saved, "compare", model, "--ppl", text, "-k", "uniform_4b"}),
                   2, {option, "compare"});
    EXPECT_FALSE(std::filesystem::exists(saved));
  }
  const std::string record = (dir.path() / "record.json").string();
  const CommandResult measured =
      measure("llama_linear.gguf", {"--ppl", "--kl-base", base, "--json", "-o", record});
  ASSERT_EQ(measured.exit_code, 0) << measured.err;
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{}, {"--ppl", text}}) {
    std::vector<std::string> arguments = {"check", record};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refusal(run_quant(arguments), 2, {record, "log-probabilities", "--ppl FILE"});
  }
}

}  // namespace
}  // namespace quant::test
