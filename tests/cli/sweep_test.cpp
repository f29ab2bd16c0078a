// quant sweep: cells, their keys, resuming after any end, and what is refused.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "cli/sweep_directory.h"

namespace quant::test {
namespace {

using Sweep = SweepDirectory;
using Keys = std::set<std::string>;

Keys keys_of(const nlohmann::json& list) {
  Keys keys;
  for (const nlohmann::json& cell : list["cells"]) keys.insert(cell["key"]);
  return keys;
}

/// A record without what differs from run to run, and without what only a sweep adds.
nlohmann::json repeatable(nlohmann::json record) {
  for (const char* name : {"seconds", "tokens_per_second", "peak_rss_bytes", "cell", "seed",
                           "text_path", "model_path"}) {
    record.erase(name);
  }
  return record;
}

TEST_F(Sweep, MeasuresEachCellOnceAsPplWould) {
  const std::string path =
      grid("contexts = 128\ntypes = [\"fp32/fp32\", \"turbo_kv_4b/fp16\"]\nk_windows = [0, 16]\n");
  nlohmann::json summary = run_sweep(path);
  EXPECT_EQ(summary["cells"], 3);  // a window changes nothing about FP32
  EXPECT_EQ(summary["measured"], 3);
  const auto measured = records();
  ASSERT_EQ(measured.size(), 3u);
  for (const auto& [key, record] : measured) {
    const CommandResult single = run_quant(
        {(dir.path() / "llama.gguf").string(), "--ppl", (dir.path() / "text.txt").string(), "-c",
         "128", "-j", "1", "--json", "-k", record["key_type"], "-v", record["value_type"],
         "--k-window", record["key_window"].dump()});
    EXPECT_EQ(repeatable(record), repeatable(single.json()));
    EXPECT_EQ(record["cell"], key);
  }
  summary = run_sweep(path);
  EXPECT_EQ(summary["measured"], 0);
  EXPECT_EQ(summary["present"], 3);
  EXPECT_EQ(records(), measured);  // to the time it took
}

TEST_F(Sweep, GoesOnAfterKillNine) {
  const std::string path = grid(
      "contexts = 256\n[[grid]]\ntypes = [\"fp32/fp32\"]\n[[grid]]\n"
      "types = [\"turbo_kv_4b\", \"uniform_2b\"]\nwindows = [0, 8, 16, 32]\nsinks = [0, 4]\n");
  Command command(sweep(path));
  command.start();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (records().size() < 2 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  command.kill();
  EXPECT_EQ(command.wait().signal, SIGKILL);
  const auto before = records();  // whole lines, all of them
  ASSERT_GE(before.size(), 2u);
  ASSERT_LT(before.size(), 17u);
  const nlohmann::json summary = run_sweep(path);
  EXPECT_EQ(summary["cells"], 17);
  EXPECT_EQ(summary["present"].get<std::size_t>(), before.size());
  EXPECT_EQ(summary["measured"].get<std::size_t>(), 17 - before.size());
  const auto after = records();
  EXPECT_EQ(after.size(), 17u);
  for (const auto& [key, record] : before) EXPECT_EQ(after.at(key), record);
}

TEST_F(Sweep, ASingleCellCanBeRunByItsKey) {
  const std::string path = grid("contexts = 64\ntypes = [\"fp16\", \"q8_0\", \"uniform_4b\"]\n");
  const nlohmann::json list = run_sweep(path, {"--list"});
  ASSERT_EQ(list["cells"].size(), 3u);
  EXPECT_TRUE(records().empty());
  const nlohmann::json& wanted = list["cells"][1];
  EXPECT_EQ(wanted["key_type"], "q8_0");
  EXPECT_EQ(wanted["done"], false);
  EXPECT_GT(wanted["tokens"].get<int>(), 1000);
  EXPECT_GT(wanted["memory_bytes"].get<std::int64_t>(), 1 << 20);
  const std::string key = wanted["key"];
  EXPECT_EQ(run_sweep(path, {"--cell", key.substr(0, 12)})["measured"], 1);
  EXPECT_EQ(records().size(), 1u);
  EXPECT_TRUE(records().contains(key));
  EXPECT_EQ(run_sweep(path, {"--list"})["cells"][1]["done"], true);
  expect_refusal(run_quant(sweep(path, {"--cell", "0123456789abcdef"})), 2, {"no cell", "--list"});
  expect_refusal(run_quant(sweep(path, {"--cell", key, "--list"})), 2, {"--list"});
}

TEST_F(Sweep, KeysStandForWhatDeterminesAResult) {
  const std::string lines = "contexts = 64\ntypes = [\"fp16\", \"q8_0\"]\n";
  const Keys keys = keys_of(run_sweep(grid(lines), {"--list"}));
  EXPECT_EQ(keys_of(run_sweep(grid(lines), {"--list", "-j", "2", "--isa", "scalar"})), keys);
  // Neither names nor the way a grid is written matter.
  std::filesystem::copy(dir.path() / "text.txt", dir.path() / "copy.txt");
  std::filesystem::copy(dir.path() / "llama.gguf", dir.path() / "copy.gguf");
  EXPECT_EQ(keys_of(run_sweep(grid("models = \"copy.gguf\"\ntexts = \"copy.txt\"\n[[grid]]\n" +
                                   std::string("contexts = [64]\ntypes = \"q8_0/f16\"\n[[grid]]\n"
                                               "contexts = [64]\ntypes = [\"fp16\", \"q8_0\"]\n")),
                              {"--list"})),
            keys);
  const auto all_differ = [&](const std::string& changed) {
    for (const std::string& key : keys_of(run_sweep(grid(changed), {"--list"}))) {
      EXPECT_FALSE(keys.contains(key)) << changed;
    }
  };
  all_differ("contexts = 65\ntypes = [\"fp16\", \"q8_0\"]\n");
  all_differ("math = \"fast\"\n" + lines);
  all_differ("seeds = 1\n" + lines);
  all_differ("chunks = 2\n" + lines);
  all_differ("sinks = 4\n" + lines);
  write_file(dir.path() / "text.txt", read_file(dir.path() / "text.txt") + "more");
  all_differ(lines);
}

TEST_F(Sweep, TypesCanSayTheirOwnWindowsAndSinks) {
  run_sweep(grid("contexts = 64\ntypes = \"q8_0/q8_0@k-window=8:sink=2\"\nsinks = [0, 2]\n"));
  const auto measured = records();
  ASSERT_EQ(measured.size(), 1u);  // what a type says wins
  const nlohmann::json& record = measured.begin()->second;
  EXPECT_EQ(record["key_window"], 8);
  EXPECT_EQ(record["value_window"], 0);
  EXPECT_EQ(record["sink"], 2);
}

TEST_F(Sweep, SeedsMoveTheCuts) {
  run_sweep(grid("contexts = 100\nseeds = [0, 1, 2]\ntypes = \"fp16\"\n"));
  std::map<int, nlohmann::json> by_seed;
  for (const auto& [key, record] : records()) by_seed[record["seed"]] = record;
  ASSERT_EQ(by_seed.size(), 3u);
  EXPECT_EQ(by_seed[0]["text_offset"], 0);
  EXPECT_NE(by_seed[1]["text_offset"], by_seed[2]["text_offset"]);
  EXPECT_LT(by_seed[1]["text_offset"].get<int>(), 100);
  const CommandResult single =
      run_quant({(dir.path() / "llama.gguf").string(), "--ppl", (dir.path() / "text.txt").string(),
                 "-c", "100", "-j", "1", "--json", "--offset", by_seed[1]["text_offset"].dump()});
  EXPECT_EQ(single.err, "");  // an offset that was asked for needs no remark
  EXPECT_EQ(repeatable(single.json()), repeatable(by_seed[1]));
}

TEST_F(Sweep, ACellThatFailsDoesNotStopTheOthers) {
  tiny_model({})
      .remove_tensor("output_norm.weight")
      .add_tensor("output_norm.weight", {64}, std::vector<float>(64, std::nanf("")))
      .write(dir.path() / "nan.gguf");
  const std::string path = grid(
      "models = [\"nan.gguf\", \"llama.gguf\"]\ncontexts = 64\ntypes = [\"fp16\", \"q8_0\"]\n");
  const CommandResult result = run_quant(sweep(path));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.json()["failed"], 2);
  EXPECT_EQ(result.json()["measured"], 2);
  EXPECT_NE(result.err.find("nan.gguf"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("2 of 4 cells could not be measured"), std::string::npos);
  EXPECT_EQ(records().size(), 2u);
  EXPECT_EQ(run_quant(sweep(path)).json()["failed"], 2);  // tried again
}

TEST_F(Sweep, SaysHowLongItWillTake) {
  const CommandResult result =
      run_quant(sweep(grid("contexts = 64\ntypes = [\"fp16\", \"q8_0\"]\n")));
  EXPECT_NE(result.err.find("cell 1 of 2"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(" s left"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find('\r'), std::string::npos);  // no bar where there is no terminal
}

TEST_F(Sweep, WhatCannotBeMeasuredIsRefusedBeforeAnythingIs) {
  const auto refused = [&](const std::string& lines, const std::vector<std::string>& texts,
                           int code = 2) {
    expect_refusal(run_quant(sweep(grid(lines))), code, texts);
    EXPECT_TRUE(records().empty());
  };
  const std::string types = "types = [\"fp16\"]\n";
  refused("type = [\"fp16\"]\n", {"grid.toml:3", "'type'", "types"});
  refused("quantum = 1\n" + types, {"grid.toml:3", "quantum", "models, texts"});
  refused("types = [\"fp16\", \"turbo_4b\"]\n", {"turbo_4b", "turbo_kv_4b"});
  refused("types = [\"fp16/q9\"]\n", {"q9"});
  refused("types = [\"fp16@windw=8\"]\n", {"windw", "did you mean window"});
  refused("types = []\n", {"grid.toml:3", "types is empty"});
  refused("types = [8]\n", {"grid.toml:3", "text in quotes"});
  refused("contexts = [0, -1]\n" + types, {"grid.toml:3", "contexts", "whole number"});
  refused("contexts = [4.5]\n" + types, {"grid.toml:3", "contexts"});
  refused("contexts = 64\n", {"names no types"});
  refused("windows = 8\nk_windows = 8\n" + types, {"grid.toml:3", "both sides"});
  refused("allow_longer = 1\n" + types, {"true or false"});
  refused("protocol = \"hf\"\n" + types, {"hf", "llamacpp"});
  refused("math = \"loose\"\n" + types, {"loose"});
  refused("contexts = [64, 1024]\n" + types, {"llama.gguf", "text.txt", "1024", "512"});
  refused("contexts = [64\n", {"grid.toml:3"});
  refused("[grid]\n" + types, {"[[grid]]"});
  refused("texts = \"none.txt\"\n" + types, {"none.txt"}, 4);
  refused("models = \"none.gguf\"\n" + types, {"none.gguf"}, 4);
  expect_refusal(run_quant(sweep((dir.path() / "none.toml").string())), 4, {"none.toml"});
  expect_refusal(run_quant({"sweep", grid(types)}), 2, {"--output"});
}

}  // namespace
}  // namespace quant::test
