// Wrong command lines and files: one line on stderr, the right exit code, nothing on stdout.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

namespace fs = std::filesystem;

class Usage : public testing::Test {
 protected:
  /// Arguments after the model.
  CommandResult with_model(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), model);
    return run_quant(arguments);
  }
  std::string write(const std::string& name, const std::string& bytes) const {
    write_file(dir.path() / name, bytes);
    return (dir.path() / name).string();
  }

  TempDir dir;
  std::string model = write_tiny_model(dir.path(), {});
  std::string text = write("text.txt", "A short text about nothing in particular.\n");
};

TEST_F(Usage, HelpAndVersionGoToStdout) {
  for (const char* flag : {"--help", "-h"}) {
    const CommandResult help = run_quant({flag});
    expect_quiet_success(help);
    EXPECT_NE(help.out.find("--k-window"), std::string::npos);
    EXPECT_NE(help.out.find("Examples:"), std::string::npos);
  }
  const CommandResult version = run_quant({"--version"});
  expect_quiet_success(version);
  EXPECT_TRUE(std::regex_match(version.out, std::regex("quant \\d+\\.\\d+\\.\\d+\n")));
  const CommandResult tokenize = run_quant({"tokenize", "--help"});
  expect_quiet_success(tokenize);
  EXPECT_NE(tokenize.out.find("--ids"), std::string::npos);
  EXPECT_NE(tokenize.out.find("Usage: quant tokenize"), std::string::npos) << tokenize.out;
  EXPECT_EQ(tokenize.out.find("Generation:"), std::string::npos) << tokenize.out;
}

TEST_F(Usage, NothingToDo) {
  expect_refusal(run_quant({}), 2, {"no model", "quant model.gguf"});
  expect_refusal(with_model({}), 2, {"nothing to do", "--ppl FILE"});
  expect_refusal(run_quant({"tokenize", model}), 2, {"text is required", "quant tokenize --help"});
}

TEST_F(Usage, UnknownOptionsNameTheNearest) {
  expect_refusal(with_model({"--ppl", text, "--k-windwo", "128"}), 2,
                 {"--k-windwo", "did you mean --k-window?"});
  expect_refusal(with_model({"--ppl", text, "--treads=2"}), 2, {"--treads", "--threads"});
  expect_refusal(with_model({"--ppl", text, "--xyzzy"}), 2, {"--xyzzy", "--help"});
  expect_refusal(run_quant({"tokenize", model, text, "--idz"}), 2, {"--idz", "--ids"});
}

TEST_F(Usage, AMistypedCommandIsNotTakenForAModel) {
  expect_refusal(run_quant({"needl", model}), 2,
                 {"unknown command 'needl'", "did you mean needle?"});
  expect_refusal(run_quant({"bnech", "-m", model}), 2, {"'bnech'", "did you mean bench?"});
  expect_refusal(run_quant({"sweeps"}), 2, {"'sweeps'", "did you mean sweep?"});
  expect_refusal(run_quant({"benchmark", model}), 2, {"'benchmark'", "did you mean bench?"});
  expect_refusal(run_quant({"missing", "-p", "a"}), 4, {"missing"});
  expect_refusal(run_quant({"bench.gguf", "-p", "a"}), 4, {"bench.gguf"});
}

TEST_F(Usage, AnEmptyNameIsNoFile) {
  expect_refusal(with_model({"--info", "-o", ""}), 2, {"--output", "file name"});
  for (const char* option : {"--save-logits", "--kl-base"}) {
    expect_refusal(with_model({"--ppl", text, option, ""}), 2, {option, "file name"});
  }
  expect_refusal(run_quant({"check", text, "--junit", ""}), 2, {"--junit", "file name"});
  expect_refusal(run_quant({"needle", model, "--text", text, "--svg", ""}), 2,
                 {"--svg", "file name"});
}

TEST_F(Usage, NumbersOutOfRangeAreCalledSo) {
  expect_refusal(with_model({"-p", "a", "-n", "99999999999"}), 2,
                 {"99999999999", "out of range", "from 1 on"});
  expect_refusal(with_model({"-p", "a", "-s", "99999999999999999999"}), 2,
                 {"out of range", "18446744073709551615"});
  expect_refusal(with_model({"-p", "a", "-n", "0"}), 2, {"'0' is not"});
}

TEST_F(Usage, ResultsDoNotReplaceWhatIsRead) {
  const std::string copy = (dir.path() / "copy.gguf").string();
  std::filesystem::copy_file(model, copy);
  const auto size = std::filesystem::file_size(copy);
  expect_refusal(run_quant({copy, "-p", "a", "-n", "1", "-o", copy}), 2, {"-o", copy, "read"});
  expect_refusal(run_quant({copy, "--info", "-o", copy}), 2, {"-o", copy});
  const std::string link = (dir.path() / "link.gguf").string();
  std::filesystem::create_symlink(copy, link);
  expect_refusal(run_quant({copy, "--info", "-o", link}), 2, {"-o", link});
  EXPECT_EQ(std::filesystem::file_size(copy), size);
  const std::string own_text = (dir.path() / "own.txt").string();
  std::filesystem::copy_file(text, own_text);
  expect_refusal(with_model({"--ppl", own_text, "--json", "-o", own_text}), 2, {"-o", own_text});
  expect_refusal(with_model({"--ppl", own_text, "--save-logits", own_text}), 2,
                 {"--save-logits", own_text});
  expect_refusal(run_quant({"compare", model, "--ppl", own_text, "-k", "q8_0", "-o", own_text}), 2,
                 {"-o", own_text});
}

TEST_F(Usage, NumbersOutOfRangeAreNamed) {
  for (const char* margin : {"0", "-1", "inf", "nan", "1x"}) {
    expect_refusal(run_quant({"compare", model, "--ppl", text, "-k", "q8_0", "--margin", margin}),
                   2, {"--margin", std::string("'") + margin + "' is not a number above 0"});
  }
  expect_refusal(run_quant({"check", text, "--percent", "-1"}), 2,
                 {"--percent", "'-1' is not a number from 0 on"});
  expect_refusal(run_quant({"bench", model, "-p", "8", "-n", "2", "-c", "4"}), 2,
                 {"context of 8", "-c is 4"});
}

TEST_F(Usage, OnlyOneModel) {
  expect_refusal(run_quant({model, "-m", model, "-p", "a"}), 2, {"more than one model"});
  expect_refusal(run_quant({"bench", model, "-m", model}), 2, {"more than one model"});
}

TEST_F(Usage, LongNamesWithOneDashAreNotTakenForShortOnesWithAValue) {
  expect_refusal(with_model({"-ngl", "99", "-p", "a"}), 2, {"'-ngl'", "llama.cpp", "leave it out"});
  expect_refusal(with_model({"-fa"}), 2, {"'-fa'", "llama.cpp", "leave it out"});
  expect_refusal(with_model({"-p", "a", "--mlock"}), 2, {"'--mlock'", "llama.cpp"});
  expect_refusal(with_model({"-p", "a", "-no-cnv"}), 2, {"unknown argument '-no-cnv'"});
  expect_refusal(run_quant({"bench", model, "-ub", "64"}), 2, {"unknown argument '-ub'"});
  // A short name with its number, and a value that looks like a name, are what they are.
  expect_quiet_success(with_model({"-p", "-fa", "-n1", "-j1"}));
}

TEST_F(Usage, UnknownNamesNameTheNearestOrTheKnown) {
  expect_refusal(with_model({"--ppl", text, "-k", "turbo_kv_4"}), 2, {"turbo_kv_4", "turbo_kv_4b"});
  expect_refusal(with_model({"--ppl", text, "-v", "uniform_2"}), 2, {"uniform_2", "uniform_2b"});
  expect_refusal(with_model({"--ppl", text, "--isa", "sse"}), 2, {"sse", "scalar"});
  expect_refusal(with_model({"--ppl", text, "--math", "quick"}), 2, {"quick", "exact, fast"});
  expect_refusal(with_model({"--ppl", text, "--protocol", "hf"}), 2, {"hf", "strided"});
}

TEST_F(Usage, NumbersThatCannotBe) {
  for (const char* option : {"-c", "-j", "-b", "--chunks", "--stride"}) {
    for (const char* value : {"0", "-1", "abc", "99999999999"}) {
      SCOPED_TRACE(std::string(option) + " " + value);
      expect_refusal(with_model({"--ppl", text, option, value}), 2, {value});
    }
  }
  for (const char* option : {"--window", "--k-window", "--v-window", "--sink"}) {
    for (const char* value : {"-1", "1.5"}) {
      SCOPED_TRACE(std::string(option) + " " + value);
      expect_refusal(with_model({"--ppl", text, option, value}), 2, {value});
    }
  }
  for (const char* option : {"-n", "--top-k", "-T", "--repeat-penalty", "--top-p", "--min-p"}) {
    SCOPED_TRACE(option);
    expect_refusal(with_model({"-p", "a", "-T", "1", option, "-1"}), 2, {});
  }
  expect_refusal(with_model({"-p", "a", "-n", "0"}), 2, {"-n"});
  for (const char* seed : {"-1", "0x10", "99999999999999999999"}) {
    expect_refusal(with_model({"-p", "a", "-s", seed}), 2, {"--seed", "'", seed});
  }
}

TEST_F(Usage, LossesNeedARecord) {
  expect_refusal(with_model({"--ppl", text, "--losses"}), 2, {"--losses", "add --json"});
}

TEST_F(Usage, OptionsWithoutTheirValue) {
  expect_refusal(with_model({"--ppl", text, "-k"}), 2, {"-k"});
  expect_refusal(with_model({"-p"}), 2, {"-p"});
}

TEST_F(Usage, CommandsExcludeEachOther) {
  expect_refusal(with_model({"--ppl", text, "-p", "a"}), 2, {"exclude"});
  expect_refusal(with_model({"--info", "--ppl", text}), 2, {"exclude"});
  expect_refusal(with_model({"--ppl", text, "-f", text}), 2, {"two texts"});
  expect_refusal(with_model({"-p", "a", "-f", text}), 2, {"two prompts"});
}

TEST_F(Usage, OptionsWithoutEffectAreRefused) {
  using Arguments = std::vector<std::string>;
  const auto refused = [&](Arguments task, const Arguments& option, const char* hint) {
    SCOPED_TRACE(option.front());
    task.insert(task.end(), option.begin(), option.end());
    expect_refusal(with_model(task), 2, {option.front(), "no effect", hint});
  };
  refused({"--ppl", text}, {"--stride", "8"}, "--protocol strided");
  refused({"--ppl", text, "--protocol", "llamacpp"}, {"--stride", "8"}, "--protocol strided");
  for (const Arguments& option : {Arguments{"--chat"},
                                  {"-n", "4"},
                                  {"-T", "1"},
                                  {"--top-k", "9"},
                                  {"--top-p", "0.5"},
                                  {"--min-p", "0.1"},
                                  {"--repeat-penalty", "1.1"}}) {
    refused({"--ppl", text}, option, "with --ppl");
    refused({"--info"}, option, "with --info");
  }
  for (const Arguments& option : {Arguments{"--chunks", "2"},
                                  {"--protocol", "strided"},
                                  {"--stride", "2"},
                                  {"--allow-longer"}}) {
    refused({"-p", "a"}, option, "with a prompt");
    refused({"-f", text}, option, "with a prompt");
    refused({"--info"}, option, "with --info");
  }
  for (const Arguments& option : {Arguments{"-k", "fp16"},
                                  {"-v", "fp16"},
                                  {"--k-window", "8"},
                                  {"--v-window", "8"},
                                  {"--window", "8"},
                                  {"--sink", "8"},
                                  {"-c", "64"},
                                  {"--math", "fast"},
                                  {"--isa", "scalar"}}) {
    refused({"--info"}, option, "with --info");
  }
  for (const Arguments& option :
       {Arguments{"--top-k", "9"}, {"--top-p", "0.5"}, {"--min-p", "0.1"}}) {
    refused({"-p", "a"}, option, "-T 0.8");
  }
}

TEST_F(Usage, OptionsWithoutEffectInFrontOfASubcommandAreRefused) {
  for (const char* option : {"--json", "--chat", "--allow-longer", "--info"}) {
    expect_refusal(run_quant({option, "types"}), 2, {option, "in front of types"});
    expect_refusal(run_quant({option, "tokenize", model, text}), 2, {option, "tokenize"});
  }
  expect_refusal(run_quant({"-n", "4", "bench", model}), 2, {"-n", "in front of bench"});
  expect_refusal(run_quant({"bench", model, "--csv", "--json"}), 2, {"--csv", "--json"});
  expect_refusal(run_quant({"bench", model, "--md", "--json"}), 2, {"--md", "--json"});
}

TEST_F(Usage, HarmlessHabitsAreWelcome) {
  expect_quiet_success(with_model({"--info", "-t", "1", "-b", "64", "-s", "1"}));
  expect_quiet_success(with_model({"--ppl", text, "-t", "1", "-s", "1"}));
  // Who asks for greedy in words may leave the other samplers' options where they are.
  expect_quiet_success(with_model({"-p", "a", "-n", "1", "-j", "1", "--temp", "0", "--top-k", "40",
                                   "--top-p", "0.9", "--min-p", "0.05", "-s", "1"}));
  // What bench shares may stand in front of it; its own complaint shows that it was reached.
  expect_refusal(run_quant({"-k", "fp32", "bench", model, "-p", "0", "-n", "0"}), 2,
                 {"nothing to measure"});
}

TEST_F(Usage, FilesThatAreNotThere) {
  const std::string missing = (dir.path() / "missing").string();
  expect_refusal(run_quant({missing, "--info"}), 4, {missing});
  expect_refusal(run_quant({missing, "--ppl", text}), 4, {missing});
  expect_refusal(run_quant({missing, "-p", "a"}), 4, {missing});
  expect_refusal(run_quant({"tokenize", missing, text}), 4, {missing});
  expect_refusal(run_quant({"tokenize", model, missing}), 4, {missing});
  expect_refusal(with_model({"--ppl", missing}), 4, {missing});
  expect_refusal(with_model({"-f", missing}), 4, {missing});
  expect_refusal(run_quant({dir.path().string(), "--info"}), 4, {dir.path().string()});
  expect_refusal(with_model({"--ppl", dir.path().string()}), 4, {"directory"});
}

TEST_F(Usage, FilesThatAreNoModels) {
  expect_refusal(run_quant({text, "--info"}), 3, {text});
  const std::string whole = read_file(model);
  const std::string cut = write("cut.gguf", whole.substr(0, whole.size() / 2));
  expect_refusal(run_quant({cut, "--ppl", text}), 3, {cut});
  const std::string empty = write("empty.gguf", "");
  EXPECT_GE(run_quant({empty, "--info"}).exit_code, 3);
  GgufWriter other = tiny_model({});
  other.remove("general.architecture").add("general.architecture", "mamba");
  other.write(dir.path() / "other.gguf");
  expect_refusal(run_quant({(dir.path() / "other.gguf").string(), "-p", "a"}), 3,
                 {"mamba", "llama"});
}

TEST_F(Usage, TextsThatAreTooShort) {
  expect_refusal(with_model({"--ppl", write("empty.txt", "")}), 2, {"empty.txt", "empty"});
  expect_refusal(with_model({"--ppl", text, "--protocol", "llamacpp"}), 2, {"2 x 512"});
  expect_refusal(with_model({"-p", "a", "-n", "600"}), 2, {"context of 512"});
  expect_refusal(Command({model, "--ppl", "-"}).pipe_in("").run(), 2, {"standard input", "empty"});
  expect_refusal(with_model({"--ppl", text, "-c", "513"}), 2, {"--allow-longer"});
}

TEST_F(Usage, PplWithoutATextExplainsItself) {
  expect_refusal(with_model({"--ppl"}), 2, {"quant model.gguf --ppl text.txt"});
  expect_refusal(with_model({"-k", "fp16", "--ppl"}), 2, {"quant model.gguf --ppl text.txt"});
}

TEST_F(Usage, OutputThatCannotBeWritten) {
  const std::string nowhere = (dir.path() / "missing" / "out.json").string();
  expect_refusal(with_model({"--ppl", text, "-o", nowhere}), 4, {nowhere});
  EXPECT_FALSE(fs::exists(dir.path() / "missing"));
  // Said before anything is read, let alone measured.
  expect_refusal(run_quant({"missing.gguf", "-p", "a", "-o", nowhere}), 4, {nowhere});
  const CommandResult full = with_model({"--ppl", text, "-o", "/dev/full"});
  expect_refusal(full, 4, {"/dev/full"});
  expect_refusal(with_model({"--ppl", text, "-o", dir.path().string()}), 4, {dir.path().string()});
}

TEST_F(Usage, StandardOutputThatTakesNoMore) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  // Few bytes fail when they are flushed, many while they are printed.
  const std::string long_text = write("long.txt", std::string(20'000, 'a'));
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"types"}, {"tokenize", model, long_text}}) {
    expect_refusal(Command(arguments).out_to(full).run(), 4, {"standard output", "No space left"});
  }
  ::close(full);
}

TEST_F(Usage, AnOldResultSurvivesAFailure) {
  const std::string old = write("result.json", "the old result");
  expect_refusal(with_model({"--ppl", write("empty.txt", ""), "-o", old}), 2, {});
  EXPECT_EQ(read_file(old), "the old result");
  // Only what was there before: no temporary file is left.
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(dir.path())) ++files;
  EXPECT_EQ(files, 4u);
}

TEST_F(Usage, OutputToAFileAndToNull) {
  const fs::path out = dir.path() / "result.json";
  CommandResult result = with_model({"--ppl", text, "--json", "-o", out.string()});
  expect_quiet_success(result);
  EXPECT_EQ(result.out, "");
  EXPECT_GT(nlohmann::json::parse(read_file(out)).at("perplexity").get<double>(), 1.0);
  expect_quiet_success(with_model({"--ppl", text, "-o", "/dev/null"}));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(Usage, MessagesHaveNoColourInAFileNorWithNoColor) {
  EXPECT_EQ(with_model({"--oops"}).err.find('\033'), std::string::npos);
  Command command({model, "--oops"});
  command.with_environment("NO_COLOR", "1");
  EXPECT_EQ(command.run().err.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace quant::test
