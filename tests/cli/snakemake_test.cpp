// bench/sweep/Snakefile: the cells of a grid as jobs of Snakemake on this machine.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "cli/sweep_directory.h"

namespace quant::test {
namespace {

/// Passes everything on to quant, but lets jobs meet and one of them fail.
constexpr const char* kWrapper = R"(#!/bin/bash
cell() { while [ $# -gt 0 ]; do [ "$1" = --cell ] && echo "$2"; shift; done; }
key=$(cell "$@")
if [ -n "$key" ]; then
  touch "started.$key"
  for ((i = 0; i < 300; ++i)); do    # until two jobs run at once
    running=(started.*)
    [ ${#running[@]} -ge 2 ] && break
    sleep 0.1
  done
  [ ${#running[@]} -ge 2 ] || { echo "alone" >&2; exit 1; }
  mkdir failed 2>/dev/null && { echo "injected failure" >&2; exit 1; }
fi
exec "$QUANT_UNDER_TEST" "$@"
)";

TEST_F(SweepDirectory, SnakemakeRunsTwoJobsAndRetriesTheOneThatFails) {
  if (std::system("command -v snakemake >/dev/null") != 0) {
    GTEST_SKIP() << "needs snakemake, which is not installed";
  }
  grid("contexts = 64\ntypes = [\"fp32/fp32\", \"q8_0\"]\n");
  write_file(dir.path() / "wrapper.sh", kWrapper);
  std::filesystem::permissions(dir.path() / "wrapper.sh", std::filesystem::perms::owner_all);
  const std::string snakefile = (source_dir() / "bench" / "sweep" / "Snakefile").string();
  const std::string command =
      "cd '" + dir.path().string() + "' && QUANT_UNDER_TEST='" + quant_binary().string() +
      "' HOME=\"$PWD\" timeout 100 snakemake -s '" + snakefile +
      "' --config grid=grid.toml dir=out quant=./wrapper.sh --cores 2 >log 2>&1";
  const int status = std::system(command.c_str());
  const std::string log = read_file(dir.path() / "log");
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << log;
  EXPECT_TRUE(std::filesystem::exists(dir.path() / "failed"));
  EXPECT_NE(log.find("Trying to restart job"), std::string::npos) << log;
  EXPECT_EQ(records().size(), 2u);
  const std::string report = read_file(dir.path() / "out" / "report.md");
  EXPECT_NE(report.find("| q8_0 |"), std::string::npos) << report;
  EXPECT_TRUE(read_file(dir.path() / "out" / "report.html").starts_with("<!DOCTYPE html>"));
  // What Snakemake measured is there for quant as well.
  EXPECT_EQ(run_sweep((dir.path() / "grid.toml").string())["present"], 2);
}

}  // namespace
}  // namespace quant::test
