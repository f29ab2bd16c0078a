// quant bench: what its record holds. The numbers themselves are the machine's.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

TEST(BenchCommand, RecordIsComplete) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  const CommandResult result = run_quant({"bench", model, "-p", "16", "-n", "4", "-d", "0,64", "-r",
                                          "2", "-j", "1", "-k", "turbo_kv_4b", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json r = result.json();
  EXPECT_EQ(r["key_type"], "turbo_kv_4b");
  EXPECT_EQ(r["threads"], 1);
  EXPECT_EQ(r["math"], "fast");
  ASSERT_EQ(r["rows"].size(), 2u);
  EXPECT_EQ(r["rows"][0]["depth"], 0);
  EXPECT_EQ(r["rows"][1]["depth"], 64);
  for (const nlohmann::json& row : r["rows"]) {
    EXPECT_EQ(row["prompt"], 16);
    EXPECT_EQ(row["generated"], 4);
    EXPECT_GT(row["prefill_tokens_per_second"].get<double>(), 0.0);
    EXPECT_GT(row["decode_tokens_per_second"].get<double>(), 0.0);
    EXPECT_LE(row["decode_low"].get<double>(), row["decode_high"].get<double>());
  }
}

TEST(BenchCommand, ExactRowsAreRead) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  const auto bytes_read = [&](std::vector<std::string> cache) {
    std::vector<std::string> arguments = {"bench", model, "-p", "0",           "-n",    "1",
                                          "-d",    "99",  "-k", "turbo_kv_4b", "-v",    "fp16",
                                          "-r",    "1",   "-j", "1",           "--json"};
    arguments.insert(arguments.end(), cache.begin(), cache.end());
    const CommandResult result = run_quant(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json()["rows"][0]["decode_cache_bytes"].get<std::int64_t>();
  };
  constexpr std::int64_t kHeads = 2 * 2;  // layers, KV heads; of 16 values
  constexpr std::int64_t kTurbo = 10;
  constexpr std::int64_t kHalves = 32;
  constexpr std::int64_t kExact = 64;
  EXPECT_EQ(bytes_read({}), kHeads * 100 * (kTurbo + kHalves));
  EXPECT_EQ(bytes_read({"--k-window", "30", "--sink", "4"}),
            kHeads * (66 * kTurbo + 34 * kExact + 96 * kHalves + 4 * kExact));
  EXPECT_EQ(bytes_read({"--window", "1000"}), kHeads * 100 * 2 * kExact);
}

TEST(BenchCommand, TablesNameTheCache) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  for (const char* form : {"--md", "--csv"}) {
    const CommandResult result =
        run_quant({"bench", "-d", "0,9", model, "-p", "4", "-n", "1", "-r", "1", "-j", "1", "-k",
                   "turbo_kv_4b", "--k-window", "8", "--sink", "4", form});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("turbo_kv_4b/fp16@k-window=8:sink=4"), std::string::npos)
        << result.out;
  }
}

TEST(BenchCommand, CsvSaysWhatRanWhere) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  const CommandResult result =
      run_quant({"bench", model, "-d", "0,9", "-p", "4", "-n", "0", "-r", "1", "-j", "1", "--csv"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(std::ranges::count(result.out, '\n'), 3);
  for (const char* column : {"cpu", "isa", "math", "threads", "peak_rss_bytes",
                             "read_bytes_per_second", "decode_bandwidth_share"}) {
    EXPECT_NE(result.out.find(column), std::string::npos) << column;
  }
  EXPECT_NE(result.out.find(model), std::string::npos) << result.out;
}

TEST(BenchCommand, TheDefaultDepthsAreThoseThatTheContextHolds) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  const auto depths = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"bench", model, "-p", "0", "-n", "1", "-r", "1", "-j", "1", "--json"});
    std::vector<int> found;
    const nlohmann::json record = run_quant(arguments).json();
    for (const auto& row : record["rows"]) found.push_back(row["depth"].get<int>());
    return found;
  };
  EXPECT_EQ(depths({}), std::vector<int>{0});
  EXPECT_EQ(depths({"-c", "4097"}), (std::vector<int>{0, 4096}));
  EXPECT_EQ(depths({"-c", "4097", "-d", "5"}), std::vector<int>{5});
}

TEST(BenchCommand, AFormIsNoFile) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  expect_refusal(run_quant({"bench", model, "-o", "json"}), 2, {"-o names a file", "--json"});
}

/// getrusage's peak would be that of this test.
TEST(BenchCommand, PeakMemoryIsItsOwn) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  constexpr std::size_t kMuch = std::size_t{600} << 20;
  const std::vector<char> much(kMuch, 1);
  const CommandResult result =
      run_quant({"bench", model, "-p", "4", "-n", "0", "-r", "1", "-j", "1", "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_GT(result.json()["peak_rss_bytes"], 1 << 20);
  EXPECT_LT(result.json()["peak_rss_bytes"], kMuch / 2) << much.front();
}

TEST(BenchCommand, SaysWhatLiesBeyondTheModelsContext) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  const CommandResult result = run_quant(
      {"bench", model, "-d", "600", "-c", "700", "-p", "0", "-n", "1", "-r", "1", "-j", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("700 is beyond the 512 tokens"), std::string::npos) << result.err;
  EXPECT_NE(result.out.find(" 1 thread\n"), std::string::npos) << result.out;
}

TEST(BenchCommand, RefusesWhatTheModelCannotHold) {
  const TempDir dir;
  const std::string model = write_tiny_model(dir.path(), {});
  expect_refusal(run_quant({"bench", model, "-d", "512"}), 2, {"512", "-c"});
  expect_refusal(run_quant({"bench", model, "-p", "0", "-n", "0"}), 2, {"nothing to measure"});
  expect_refusal(run_quant({"bench", model, "-d", "-1"}), 2, {"-1"});
  expect_refusal(run_quant({"bench"}), 2, {"no model"});
}

}  // namespace
}  // namespace quant::test
