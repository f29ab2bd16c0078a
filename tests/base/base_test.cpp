// Random numbers, threads, memory, files, names, and what is known of the CPU.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/mapped_file.h"
#include "base/parallel.h"
#include "base/splitmix64.h"
#include "quant/cpu.h"
#include "quant/suggest.h"
#include "quant/version.h"
#include "support/expect_error.h"
#include "support/gguf_writer.h"
#include "support/paths.h"

namespace quant::test {
namespace {

TEST(SplitMix64, KnownNumbers) {
  // From the authors' C code with seed 1234567.
  SplitMix64 random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
  EXPECT_EQ(random.next(), 9817491932198370423u);
}

TEST(SplitMix64, ContinuesFromItsState) {
  SplitMix64 random(1);
  random.next();
  SplitMix64 copy(random.state());
  EXPECT_EQ(copy.next(), random.next());
}

TEST(SplitMix64, BelowIsUniform) {
  SplitMix64 random(2);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts.at(random.below(7));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(SplitMix64, UniformIsInTheHalfOpenUnitInterval) {
  SplitMix64 random(3);
  double sum = 0.0;
  for (int i = 0; i < 10000; ++i) {
    const double x = random.uniform();
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x;
  }
  EXPECT_NEAR(sum / 10000.0, 0.5, 0.02);
}

TEST(ParallelFor, RunsEveryTaskOnceOnAThreadInRange) {
  for (const int threads : {1, 2, 3}) {
    for (const std::int64_t tasks : {0, 1, 2, 17, 1000}) {
      std::vector<std::atomic<int>> times(static_cast<std::size_t>(tasks));
      std::atomic<bool> in_range{true};
      parallel_for(threads, tasks, [&](std::int64_t task, int thread) {
        ++times[static_cast<std::size_t>(task)];
        if (thread < 0 || thread >= threads) in_range = false;
      });
      EXPECT_TRUE(in_range);
      for (const std::atomic<int>& n : times) ASSERT_EQ(n.load(), 1);
    }
  }
}

TEST(AlignedBuffer, IsAlignedAndCountsWholeLines) {
  AlignedBuffer<float> buffer(17);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
  EXPECT_EQ(buffer.size(), 17u);
  EXPECT_EQ(buffer.allocated_bytes(), 128u);
  EXPECT_EQ(AlignedBuffer<float>().allocated_bytes(), 0u);
}

TEST(AlignedBuffer, MovesItsMemory) {
  AlignedBuffer<int> a(4);
  a[0] = 7;
  const int* data = a.data();
  AlignedBuffer<int> b(std::move(a));
  EXPECT_EQ(b.data(), data);
  AlignedBuffer<int> c;
  c = std::move(b);
  EXPECT_EQ(c[0], 7);
}

TEST(AlignedBuffer, ImpossibleSizesAreNotUnderstoodAsSmallOnes) {
  EXPECT_THROW(AlignedBuffer<double>(static_cast<std::size_t>(-1) / 4), std::bad_alloc);
  constexpr std::size_t kTooMuch = std::size_t{1} << 60;
  try {
    AlignedBuffer<char> buffer(kTooMuch);
    FAIL() << "there is no such memory";
  } catch (const OutOfMemory& error) {
    EXPECT_EQ(error.bytes(), kTooMuch);
  }
}

TEST(MappedFile, ShowsTheBytes) {
  const TempDir dir;
  write_file(dir.path() / "file", "some bytes");
  MappedFile file((dir.path() / "file").string());
  const MappedFile moved(std::move(file));
  ASSERT_EQ(moved.bytes().size(), 10u);
  EXPECT_EQ(static_cast<char>(moved.bytes()[5]), 'b');
}

TEST(MappedFile, RefusesWhatIsNoFileWithBytes) {
  const TempDir dir;
  const auto refused = [](const std::filesystem::path& path, const char* why) {
    expect_error(ErrorKind::kIo, why, [&] { MappedFile{path.string()}; });
    expect_error(ErrorKind::kIo, path.string(), [&] { MappedFile{path.string()}; });
  };
  refused(dir.path() / "missing", "No such file");
  refused(dir.path(), "not a regular file");
  write_file(dir.path() / "empty", "");
  refused(dir.path() / "empty", "empty");
  ASSERT_EQ(::mkfifo((dir.path() / "fifo").c_str(), 0600), 0);
  refused(dir.path() / "fifo", "not a regular file");
}

TEST(Crew, DoesEveryTaskOnceInManyLoops) {
  for (const int threads : {1, 2, 5, 64}) {
    std::vector<std::atomic<int>> counts(257);
    with_crew(threads, [&] {
      for (int tasks = 0; tasks <= 257; ++tasks) {
        parallel_for(threads, tasks, [&](std::int64_t task, int thread) {
          EXPECT_TRUE(thread >= 0 && thread < threads);
          ++counts[static_cast<std::size_t>(task)];
        });
      }
    });
    for (std::size_t i = 0; i < counts.size(); ++i) {
      EXPECT_EQ(counts[i].load(), 257 - static_cast<int>(i)) << threads;
    }
  }
}

TEST(Crew, AnswersForOtherNumbersOfThreadsAndInsideAnother) {
  std::atomic<int> count{0};
  const auto add = [&](std::int64_t, int) { ++count; };
  with_crew(2, [&] {
    parallel_for(3, 10, add);
    with_crew(2, [&] { parallel_for(2, 10, add); });
    parallel_for(2, 10, add);
  });
  EXPECT_EQ(count.load(), 30);
}

/// What an observer does that runs another session.
TEST(Crew, LoopsInsideATaskDisturbNothing) {
  std::vector<std::atomic<int>> outer(100);
  std::atomic<int> inner{0};
  with_crew(2, [&] {
    parallel_for(2, 100, [&](std::int64_t task, int) {
      ++outer[static_cast<std::size_t>(task)];
      parallel_for(2, 10, [&](std::int64_t, int) { ++inner; });
      with_crew(2, [&] { parallel_for(2, 10, [&](std::int64_t, int) { ++inner; }); });
    });
  });
  for (const std::atomic<int>& count : outer) EXPECT_EQ(count.load(), 1);
  EXPECT_EQ(inner.load(), 2000);
}

/// OpenMP gives fewer threads than were asked for where it may.
TEST(Crew, SharesLoopsAmongTheThreadsThatItGets) {
  omp_set_dynamic(1);
  std::atomic<int> count{0};
  with_crew(64, [&] {
    parallel_for(64, 1000, [&](std::int64_t, int thread) {
      EXPECT_TRUE(thread >= 0 && thread < 64);
      ++count;
    });
  });
  omp_set_dynamic(0);
  EXPECT_EQ(count.load(), 1000);
}

TEST(Crew, LetsExceptionsOut) {
  expect_error(ErrorKind::kUsage, "from within",
               [] { with_crew(2, [] { throw Error(ErrorKind::kUsage, "from within"); }); });
  std::atomic<int> count{0};
  with_crew(2, [&] { parallel_for(2, 10, [&](std::int64_t, int) { ++count; }); });
  EXPECT_EQ(count.load(), 10);
}

TEST(NearestName, FindsTypingErrors) {
  constexpr std::array<std::string_view, 4> kKnown = {"--k-window", "--v-window", "--window",
                                                      "--threads"};
  EXPECT_EQ(nearest_name("--k-windwo", kKnown), "--k-window");
  EXPECT_EQ(nearest_name("--thread", kKnown), "--threads");
  EXPECT_EQ(nearest_name("--window", kKnown), "--window");
  EXPECT_EQ(nearest_name("--banana", kKnown), "");
  EXPECT_EQ(nearest_name("", kKnown), "");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_EQ(nearest_name("--threadsafety-first", kKnown), "--threads");
}

TEST(Cpu, InstructionSetsAreNamedAndScalarIsLast) {
  for (const Isa isa :
       {Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512, Isa::kAmx, Isa::kNeon}) {
    EXPECT_EQ(parse_isa(isa_name(isa)), isa);
  }
  expect_error(ErrorKind::kUsage, "scalar, avx2, avxvnni, avx512, amx, neon",
               [] { parse_isa("sse"); });
  EXPECT_EQ(available_isas().back(), Isa::kScalar);
  EXPECT_EQ(best_isa(), available_isas().front());
}

TEST(Cpu, IsDescribed) {
  EXPECT_GE(available_cpus(), 1);
  EXPECT_FALSE(cpu_name().empty());
}

TEST(Version, IsThreeNumbersAndTheCompilerHasAName) {
  EXPECT_EQ(std::ranges::count(version(), '.'), 2);
  EXPECT_FALSE(compiler().empty());
}

}  // namespace
}  // namespace quant::test
