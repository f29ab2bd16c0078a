// quant MODEL --ppl: results, records, and the two published command lines.
#include <gtest/gtest.h>

#include <cmath>

#include "cli/model_and_text.h"
#include "quant/cpu.h"

namespace quant::test {
namespace {

class PerplexityCommand : public ModelAndText {
 protected:
  nlohmann::json record(std::vector<std::string> arguments) const {
    // One thread unless said otherwise: the model is too small to share out.
    arguments.insert(arguments.begin(), {model, "--ppl", text, "--json", "-j", "1"});
    const CommandResult result = run_quant(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json();
  }
};

TEST_F(PerplexityCommand, RecordIsComplete) {
  const nlohmann::json r = record({});
  expect_perplexity_record(r);
  EXPECT_EQ(r["schema_version"], 1);
  EXPECT_EQ(r["math"], "exact");
  EXPECT_EQ(r["key_type"], "fp16");
  EXPECT_EQ(r["value_type"], "fp16");
  EXPECT_EQ(r["key_window"], 0);
  EXPECT_EQ(r["sink"], 0);
  EXPECT_EQ(r["protocol"], "context");
  EXPECT_EQ(r["isa"], isa_name(best_isa()));
  EXPECT_NEAR(std::exp(r["mean_nll"].get<double>()), r["perplexity"].get<double>(), 1e-9);
  EXPECT_EQ(r["model_sha256"].get<std::string>().size(), 64u);
  EXPECT_TRUE(r["kv_bytes"].is_number_integer());
  EXPECT_NEAR(r["kv_bytes"].get<double>() / r["kv_bytes_formula"].get<double>(), 1.0, 0.02);
  EXPECT_EQ(r["key_bits"], 16.0);
}

TEST_F(PerplexityCommand, SchemaVersionStandsFirst) {
  const CommandResult result = run_quant({model, "--ppl", text, "--json"});
  EXPECT_EQ(nlohmann::ordered_json::parse(result.out).begin().key(), "schema_version");
}

TEST_F(PerplexityCommand, HashesAreThoseOfTheFiles) {
  const std::string abc = (dir.path() / "abc.txt").string();
  write_file(abc, "abc");
  const CommandResult result = run_quant({model, "--ppl", abc, "--json"});
  EXPECT_EQ(result.json()["text_sha256"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(PerplexityCommand, WhatCannotBeKnownIsNullWithAReason) {
  const auto record_of = [&](const char* words) {
    return Command({model, "--ppl", "-", "--json", "-j", "1"}).pipe_in(words).run().json();
  };
  const nlohmann::json one = record_of("!");  // BOS is not scored
  EXPECT_EQ(one["scored_tokens"], 1);
  EXPECT_TRUE(one["standard_error"].is_null());
  EXPECT_NE(one["reason"].get<std::string>().find("two scored tokens"), std::string::npos);
  const nlohmann::json two = record_of("!?");
  EXPECT_GT(two["standard_error"].get<double>(), 0.0);
  EXPECT_TRUE(two["standard_error_blocks"].is_null());
  EXPECT_NE(two["reason"].get<std::string>().find("two blocks"), std::string::npos);
  const CommandResult report = Command({model, "--ppl", "-", "-j", "1"}).pipe_in("!?").run();
  expect_quiet_success(report);
  EXPECT_NE(report.out.find("± unknown over blocks"), std::string::npos) << report.out;
}

TEST_F(PerplexityCommand, ReportNamesResultAndConfiguration) {
  const CommandResult result =
      run_quant({model, "--ppl", text, "-k", "turbo_kv_4b", "--k-window", "16"});
  expect_quiet_success(result);
  for (const char* part : {"perplexity", "±", "turbo_kv_4b", "window 16", "fp16", "bits per value",
                           "bytes", "MiB", "FP32 share", "tokens/s", "exact"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
}

TEST_F(PerplexityCommand, WindowsAndSinksGoWhereTheyAreAskedFor) {
  const auto windows = [&](std::vector<std::string> arguments) {
    const nlohmann::json r = record(arguments);
    return std::vector<int>{r["key_window"], r["value_window"], r["sink"]};
  };
  EXPECT_EQ(windows({"--window", "32"}), (std::vector<int>{32, 32, 0}));
  EXPECT_EQ(windows({"--k-window", "32"}), (std::vector<int>{32, 0, 0}));
  EXPECT_EQ(windows({"--v-window", "32"}), (std::vector<int>{0, 32, 0}));
  EXPECT_EQ(windows({"--sink", "4"}), (std::vector<int>{0, 0, 4}));
  // What is said of one side wins, in whatever order.
  EXPECT_EQ(windows({"--window", "32", "--k-window", "8"}), (std::vector<int>{8, 32, 0}));
  EXPECT_EQ(windows({"--v-window", "8", "--window", "32"}), (std::vector<int>{32, 8, 0}));
  const nlohmann::json sink = record({"-k", "turbo_kv_4b", "-v", "turbo_kv_4b", "--sink", "4"});
  EXPECT_GT(sink["fp32_share_end"].get<double>(), 0.0);
  EXPECT_EQ(sink["fp32_share_end"], sink["value_fp32_share_end"]);
}

TEST_F(PerplexityCommand, AWindowAsLongAsTheTextIsFp32) {
  const nlohmann::json fp32 = record({"-k", "fp32", "-v", "fp32"});
  const nlohmann::json window = record({"-k", "uniform_2b", "-v", "uniform_2b", "--window", "512"});
  const nlohmann::json flat = record({"-k", "uniform_2b", "-v", "uniform_2b"});
  EXPECT_EQ(fp32["mean_nll"], window["mean_nll"]);
  EXPECT_NE(fp32["mean_nll"], flat["mean_nll"]);
  EXPECT_EQ(fp32["fp32_share_mean"], 1.0);
  EXPECT_EQ(window["fp32_share_mean"], 1.0);
  EXPECT_EQ(flat["fp32_share_mean"], 0.0);
}

TEST_F(PerplexityCommand, ThreadsAreCappedAndThatIsSaid) {
  const int cpus = available_cpus();
  const CommandResult result =
      run_quant({model, "--ppl", text, "--json", "-j", std::to_string(cpus + 6)});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.err.find(std::to_string(cpus + 6) + " threads"), std::string::npos)
      << result.err;
  EXPECT_EQ(result.json()["threads"], cpus);
  EXPECT_EQ(result.json()["threads_requested"], cpus + 6);
}

TEST_F(PerplexityCommand, PublishedLinesWorkFromTheRepositoryRoot) {
  const std::vector<std::vector<std::string>> lines = {{"-k", "uniform_2b", "--k-window", "512"},
                                                       {"-k", "turbo_kv_4b", "--k-window", "128"}};
  for (const std::vector<std::string>& line : lines) {
    std::vector<std::string> arguments = {model, "--ppl", "bench/data/ppl_1k.txt"};
    arguments.insert(arguments.end(), line.begin(), line.end());
    arguments.insert(arguments.end(), {"-j", "8"});
    Command command(arguments);
    command.in_directory(source_dir());
    const CommandResult result = command.run();
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("perplexity"), std::string::npos);
    EXPECT_NE(result.out.find(line[1]), std::string::npos);
  }
}

TEST_F(PerplexityCommand, TextFromAPipe) {
  const std::string words = read_file(text);
  const nlohmann::json expected = record({});
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{model, "--json", "--ppl"},
        {model, "--json", "--ppl", "-"},
        {model, "--json", "--ppl", "-f", "-"}}) {
    const CommandResult result = Command(arguments).pipe_in(words).run();
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.json()["mean_nll"], expected["mean_nll"]);
    EXPECT_EQ(result.json()["text_path"], "-");
  }
  expect_refusal(Command({model, "--ppl"}).pipe_in("").run(), 2, {"empty"});
  expect_refusal(run_quant({model, "--ppl", text, "--offset", "99999"}), 2, {"99999", "text.txt"});
}

TEST_F(PerplexityCommand, LlamaCppSpellings) {
  const nlohmann::json expected = record({"-k", "q8_0", "-v", "fp16", "-j", "1"});
  const CommandResult result = run_quant({"-m", model, "--perplexity", "-f", text, "-ctk", "q8_0",
                                          "-ctv", "f16", "-t", "1", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["mean_nll"], expected["mean_nll"]);
  EXPECT_EQ(result.json()["key_type"], "q8_0");
  EXPECT_EQ(result.json()["value_type"], "fp16");
  EXPECT_EQ(result.json()["threads"], 1);
}

TEST_F(PerplexityCommand, ProtocolsAreRecorded) {
  const nlohmann::json llamacpp = record({"--protocol", "llamacpp", "-c", "64"});
  EXPECT_EQ(llamacpp["protocol"], "llamacpp");
  EXPECT_EQ(llamacpp["context"], 64);
  EXPECT_EQ(llamacpp["scored_tokens"].get<int>() % 31, 0);
  const nlohmann::json strided = record({"--protocol", "strided", "-c", "64", "--stride", "32"});
  EXPECT_EQ(strided["protocol"], "strided");
  EXPECT_EQ(strided["scored_tokens"], strided["text_tokens"]);
}

TEST_F(PerplexityCommand, WhatIsLeftOutIsSaid) {
  const CommandResult result =
      run_quant({model, "--ppl", text, "-c", "64", "--chunks", "2", "--json"});
  EXPECT_EQ(result.exit_code, 0);
  const nlohmann::json r = result.json();
  EXPECT_EQ(r["contexts"], 2);
  EXPECT_GT(r["dropped_tokens"].get<int>(), 0);
  EXPECT_NE(result.err.find(std::to_string(r["dropped_tokens"].get<int>()) + " of"),
            std::string::npos)
      << result.err;
}

TEST_F(PerplexityCommand, BatchThreadsAndIsaDoNotChangeTheResult) {
  const nlohmann::json expected = record({"-k", "turbo_kv_3b", "--window", "16"});
  EXPECT_EQ(record({"-k", "turbo_kv_3b", "--window", "16", "-b", "7", "-j", "1"})["mean_nll"],
            expected["mean_nll"]);
  EXPECT_EQ(record({"-k", "turbo_kv_3b", "--window", "16", "--isa", "scalar"})["mean_nll"],
            expected["mean_nll"]);
}

TEST_F(PerplexityCommand, AModelThatGivesNoNumbersIsAFailedMeasurement) {
  GgufWriter writer = tiny_model({});
  writer.remove_tensor("output_norm.weight")
      .add_tensor("output_norm.weight", {64}, std::vector<float>(64, std::nanf("")));
  writer.write(dir.path() / "nan.gguf");
  expect_refusal(run_quant({(dir.path() / "nan.gguf").string(), "--ppl", text}), 1, {"not finite"});
}

TEST_F(PerplexityCommand, FastMathIsRecorded) {
  EXPECT_EQ(record({"--math", "fast"})["math"], "fast");
}

}  // namespace
}  // namespace quant::test
