// quant MODEL -p: text, streams, signals.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "cli/command.h"
#include "quant/tokenizer.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

using namespace std::chrono_literals;

bool is_utf8(std::string_view text) {
  try {
    (void)nlohmann::json(std::string(text)).dump();  // strict by default
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

/// A model that says token `next` after token `token`, whatever came before: every block adds
/// nothing, embeddings are one-hot, the output matrix is the table of successors.
class Script {
 public:
  Script& then(Token token, Token next) {
    successors_.emplace_back(token, next);
    return *this;
  }
  std::string write(const std::filesystem::path& dir, int context = 512) const {
    constexpr std::size_t kEmbd = 320;
    constexpr std::size_t kVocab = 288;
    TinyModelSpec spec;
    spec.n_embd = kEmbd;
    spec.n_layers = 1;
    spec.tied_output = false;
    spec.context_length = context;
    GgufWriter writer = tiny_model(spec);
    const auto replace = [&](const std::string& name, std::vector<std::uint64_t> dims,
                             const std::vector<float>& values) {
      writer.remove_tensor(name).add_tensor(name, dims, values);
    };
    std::vector<float> embedding(kEmbd * kVocab, 0.0f);
    for (std::size_t i = 0; i < kVocab; ++i) embedding[i * kEmbd + i] = 1.0f;
    std::vector<float> output(kEmbd * kVocab, 0.0f);
    for (const auto& [token, next] : successors_) {
      output[static_cast<std::size_t>(next) * kEmbd + static_cast<std::size_t>(token)] = 1.0f;
    }
    replace("token_embd.weight", {kEmbd, kVocab}, embedding);
    replace("output.weight", {kEmbd, kVocab}, output);
    replace("output_norm.weight", {kEmbd}, std::vector<float>(kEmbd, 1.0f));
    const auto heads = static_cast<std::size_t>(spec.n_heads * spec.head_dim);
    replace("blk.0.attn_output.weight", {heads, kEmbd}, std::vector<float>(heads * kEmbd, 0.0f));
    const auto n_ff = static_cast<std::size_t>(spec.n_ff);
    replace("blk.0.ffn_down.weight", {n_ff, kEmbd}, std::vector<float>(n_ff * kEmbd, 0.0f));
    const auto path = dir / "script.gguf";
    writer.write(path);
    return path.string();
  }

 private:
  std::vector<std::pair<Token, Token>> successors_;
};

constexpr Token kEos = 257;

/// One thread: the models are too small to share out.
CommandResult run_alone(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-j", "1"});
  return run_quant(arguments);
}

class Generate : public testing::Test {
 protected:
  TempDir dir;
  std::string model = write_tiny_model(dir.path(), {});
};

TEST_F(Generate, SaysWhatTheModelSays) {
  const std::string script =
      Script().then('a', 'b').then('b', 'c').then('c', '!').then('!', kEos).write(dir.path());
  const CommandResult result = run_alone({script, "-p", "a", "-n", "50"});
  expect_quiet_success(result);
  EXPECT_EQ(result.out, "bc!\n");  // ends at EOS, long before -n
}

TEST_F(Generate, LostBytesOfAPromptAreToldOf) {
  GgufWriter writer = tiny_model({});
  std::vector<std::string> tokens(288);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = "unknown" + std::to_string(i);
  tokens['a'] = "a";
  writer.remove("tokenizer.ggml.tokens").add("tokenizer.ggml.tokens", tokens);
  writer.remove("tokenizer.ggml.merges").add("tokenizer.ggml.merges", std::vector<std::string>{});
  const std::string path = (dir.path() / "one_letter.gguf").string();
  writer.write(path);
  const CommandResult result = run_alone({path, "-p", "aba", "-n", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("the prompt: 1 of 3 bytes have no token"), std::string::npos)
      << result.err;
}

TEST_F(Generate, JsonRecord) {
  const std::string script =
      Script().then('a', 'b').then('b', 'c').then('c', kEos).write(dir.path());
  CommandResult result = run_alone({script, "-p", "xa", "-n", "50", "--json"});
  expect_quiet_success(result);
  const nlohmann::json r = result.json();
  EXPECT_EQ(r["text"], "bc");
  EXPECT_EQ(r["tokens"], (std::vector<int>{'b', 'c'}));
  EXPECT_EQ(r["ended"], true);
  EXPECT_EQ(r["prompt_tokens"], 3);
  EXPECT_EQ(r["generated_tokens"], 2);
  EXPECT_EQ(r["math"], "fast");
  for (const char* name : {"prefill_tokens_per_second", "decode_tokens_per_second", "kv_bytes",
                           "peak_rss_bytes", "model_sha256", "isa", "threads", "version"}) {
    EXPECT_TRUE(r.contains(name)) << name;
  }
  result = run_alone({script, "-p", "a", "-n", "1", "--json"});
  EXPECT_EQ(result.json()["ended"], false);
  EXPECT_EQ(result.json()["text"], "b");
}

TEST_F(Generate, TheCacheIsAsLargeAsWhatIsAskedFor) {
  const nlohmann::json asked = run_alone({model, "-p", "abc", "-n", "10", "--json"}).json();
  EXPECT_LE(asked["kv_positions"].get<int>(), 16);
  const nlohmann::json context =
      run_alone({model, "-p", "abc", "-n", "10", "-c", "100", "--json"}).json();
  EXPECT_EQ(context["kv_positions"], 100);
}

TEST_F(Generate, PromptsFromStdinAndFile) {
  const std::string prompt = "Once upon a time";
  const CommandResult expected = run_alone({model, "-p", prompt, "-n", "20"});
  expect_quiet_success(expected);
  EXPECT_EQ(Command({model, "-p", "-", "-n", "20", "-j", "1"}).pipe_in(prompt).run().out,
            expected.out);
  EXPECT_EQ(Command({model, "-f", "-", "-n", "20", "-j", "1"}).pipe_in(prompt).run().out,
            expected.out);
  const std::string file = (dir.path() / "prompt.txt").string();
  write_file(file, prompt);
  EXPECT_EQ(run_alone({model, "-f", file, "-n", "20"}).out, expected.out);
}

TEST_F(Generate, TheSeedDecides) {
  const auto text = [&](const char* seed) {
    return run_alone({model, "-p", "seed", "-n", "30", "--temp", "1.5", "--top-k", "0", "-s", seed})
        .out;
  };
  EXPECT_EQ(text("1"), text("1"));
  EXPECT_NE(text("1"), text("2"));
}

TEST_F(Generate, GreedyIgnoresTheSeed) {
  EXPECT_EQ(run_alone({model, "-p", "seed", "-n", "30", "-s", "1"}).out,
            run_alone({model, "-p", "seed", "-n", "30", "-s", "2"}).out);
}

TEST_F(Generate, BytesThatAreNoCharactersComeOutAsTheyAre) {
  // What a random byte-level model says is hardly ever UTF-8.
  std::vector<std::string> arguments = {model, "-p", "x", "-n", "60", "-T", "2", "-s", "3"};
  arguments.insert(arguments.end(), {"--top-k", "0", "--top-p", "1", "--min-p", "0"});
  const CommandResult text = run_alone(arguments);
  arguments.push_back("--json");
  const CommandResult json = run_alone(arguments);
  expect_quiet_success(json);
  const auto tokens = json.json()["tokens"].get<std::vector<Token>>();  // valid JSON all the same
  EXPECT_FALSE(is_utf8(text.out));
  EXPECT_EQ(text.out, Tokenizer::load(model)->decode(tokens) + "\n");
}

/// Reads from a pipe what each write() of the command gave.
std::vector<std::string> writes_of(Command& command) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) std::abort();
  command.out_to(pipe[1]);
  command.start();
  ::close(pipe[1]);
  std::vector<std::string> writes;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(pipe[0], buffer, sizeof buffer)) > 0;) {
    writes.emplace_back(buffer, static_cast<std::size_t>(n));
  }
  ::close(pipe[0]);
  EXPECT_EQ(command.wait().exit_code, 0);
  return writes;
}

TEST_F(Generate, NeverHalfACharacter) {
  // a → € in three tokens → 😀 in four → end.
  Script script;
  const std::string said = "\xe2\x82\xac\xf0\x9f\x98\x80";
  Token last = 'a';
  for (const char c : said) {
    const Token next = static_cast<unsigned char>(c);
    script.then(last, next);
    last = next;
  }
  script.then(last, kEos);
  Command command({script.write(dir.path()), "-p", "a", "-n", "20", "-j", "1"});
  std::string all;
  for (const std::string& bytes : writes_of(command)) {
    EXPECT_TRUE(is_utf8(bytes));
    all += bytes;
  }
  EXPECT_EQ(all, said + "\n");
}

TEST_F(Generate, ACharacterCutByTheEndComesOutAsItIs) {
  const std::string script =
      Script().then('a', 0xe2).then(0xe2, 0x82).then(0x82, kEos).write(dir.path());
  EXPECT_EQ(run_alone({script, "-p", "a"}).out, "\xe2\x82\n");
}

/// A model that never ends: 'a' after 'a'.
std::string endless(const std::filesystem::path& dir) {
  return Script().then('a', 'a').write(dir, 1 << 20);
}

TEST_F(Generate, InterruptEndsItWithinASecond) {
  Command command({endless(dir.path()), "-p", "a", "-n", "100000", "-j", "1"});
  command.start();
  while (command.out_so_far().size() < 10) std::this_thread::sleep_for(5ms);
  const auto begin = std::chrono::steady_clock::now();
  command.interrupt();
  const CommandResult result = command.wait(10s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_TRUE(result.signal == SIGINT || result.exit_code == 130) << result.exit_code;
}

TEST_F(Generate, AReaderThatLeavesEndsItQuietly) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  Command command({endless(dir.path()), "-p", "a", "-n", "100000", "-j", "1"});
  command.out_to(pipe[1]);
  command.start();
  ::close(pipe[1]);
  char byte = 0;
  EXPECT_EQ(::read(pipe[0], &byte, 1), 1);
  ::close(pipe[0]);
  const CommandResult result = command.wait(10s);
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_NE(result.err.find("standard output"), std::string::npos) << result.err;
}

TEST_F(Generate, OutputToAFile) {
  const std::string script = Script().then('a', 'b').then('b', kEos).write(dir.path());
  const std::string out = (dir.path() / "out.txt").string();
  const CommandResult result = run_alone({script, "-p", "a", "-o", out});
  expect_quiet_success(result);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(read_file(out), "b\n");
}

TEST_F(Generate, ChatNeedsATemplate) {
  expect_refusal(run_alone({model, "-p", "a", "--chat"}), 2, {"--chat", "no chat template"});
}

TEST_F(Generate, AMessageCannotEndItsTurn) {
  const std::filesystem::path chat = dir.path() / "chat.gguf";
  tiny_model({}).add("tokenizer.chat_template", "<|im_start|> and <|im_end|>").write(chat);
  const auto prompt_tokens = [&](const char* message) {
    return run_alone({chat.string(), "--chat", "-p", message, "-n", "1", "--json"})
        .json()["prompt_tokens"]
        .get<int>();
  };
  EXPECT_NE(run_quant({chat.string(), "-p", "a", "-n", "1"}).err.find("--chat"), std::string::npos);
  // A refusal is one line, without the hint.
  expect_refusal(run_quant({chat.string(), "-p", "a", "-n", "600"}), 2, {"context of 512"});
  expect_refusal(run_quant({chat.string(), "-p", "a", "-T", "nan"}), 2, {"temperature"});
  // As a special token, "</s>" would be one; as text, it has as many as another of its length.
  EXPECT_EQ(prompt_tokens("a</s>b"), prompt_tokens("a(/s)b"));
}

TEST_F(Generate, RealInstructModel) {
  const auto path = models_dir() / "smollm2-135m.gguf";
  QUANT_REQUIRE_PATH(path);
  const CommandResult raw = run_quant({path.string(), "-p", "The capital of France is", "-n", "8"});
  EXPECT_EQ(raw.exit_code, 0);
  EXPECT_NE(raw.out.find("Paris"), std::string::npos) << raw.out;
  const std::size_t hint = raw.err.find("--chat");
  EXPECT_NE(hint, std::string::npos) << raw.err;
  EXPECT_EQ(raw.err.find("--chat", hint + 1), std::string::npos) << "the hint is given once";
  const CommandResult chat =
      run_quant({path.string(), "-p", "What is the capital of France?", "-n", "40", "--chat"});
  expect_quiet_success(chat);
  EXPECT_NE(chat.out.find("Paris"), std::string::npos) << chat.out;
  EXPECT_EQ(chat.out.find("<|im_end|>"), std::string::npos) << chat.out;
  EXPECT_TRUE(is_utf8(chat.out));
}

TEST_F(Generate, RealModelStreamsWholeCharacters) {
  const auto path = models_dir() / "smollm2-135m.gguf";
  QUANT_REQUIRE_PATH(path);
  Command command({path.string(), "-p", "日本語の文章：今日は天気がいいです。😀😀😀", "-n", "24"});
  for (const std::string& bytes : writes_of(command)) EXPECT_TRUE(is_utf8(bytes)) << bytes;
}

}  // namespace
}  // namespace quant::test
