// The cache takes the memory that it says, and nothing beside it: seen from outside the process.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <fstream>
#include <vector>

#include "quant/session.h"
#include "support/paths.h"
#include "support/random_tokens.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

constexpr int kPositions = 8192;
constexpr int kHeadDim = 128;
constexpr int kBatch = 256;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(QUANT_EMULATED)
constexpr bool kBare = false;
#else
constexpr bool kBare = true;
#endif
constexpr double kSlack = 512.0 * 1024.0;  // what the heap and the threads' stacks may gain

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0.0;
  double resident = 0.0;
  file >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

/// One layer and one head: the cache is large beside the work.
std::shared_ptr<const Model> long_model() {
  TinyModelSpec spec;
  spec.n_layers = 1;
  spec.n_heads = 1;
  spec.n_kv_heads = 1;
  spec.head_dim = kHeadDim;
  spec.context_length = kPositions;
  const TempDir dir;
  return Model::load(write_tiny_model(dir.path(), spec));
}

struct MemoryCase {
  const char* name;
  KvSide side;
};
void PrintTo(const MemoryCase& c, std::ostream* out) { *out << c.name; }

class CacheMemoryTest : public testing::TestWithParam<MemoryCase> {};

TEST_P(CacheMemoryTest, ResidentGrowthIsWhatWasAllocated) {
  if (!kBare) GTEST_SKIP() << "the memory of a sanitizer or an emulator would be counted too";
  // Large buffers come from mmap and go back at once, what was freed before is given back too, and
  // no huge page makes neighbours resident: resident memory is memory in use.
  ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  ::malloc_trim(0);
  ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  const KvSide side = GetParam().side;
  Session session(long_model(),
                  {.kv = {side, side}, .reserve = kPositions, .batch = kBatch, .threads = 2});
  const std::vector<Token> tokens = random_tokens(kPositions, 3);
  session.append(std::span(tokens).first(kBatch));  // touches all activations
  session.reset();
  const double before = resident_bytes();
  session.append(tokens);
  const double grown = resident_bytes() - before;
  const CacheMemory memory = session.cache_memory();
  const double allocated = static_cast<double>(memory.allocated);
  EXPECT_EQ(memory.positions, kPositions);
  EXPECT_NEAR(allocated / static_cast<double>(memory.formula), 1.0, 0.02);
  EXPECT_LE(grown, 1.05 * allocated + kSlack);
  // The measurement sees the cache, so it would see a shadow copy, which is larger.
  constexpr double kShadow = 2.0 * kHeadDim * kPositions * sizeof(float);
  EXPECT_GE(grown, 0.8 * allocated);
  EXPECT_GT(kShadow, 0.25 * allocated + kSlack);
}

INSTANTIATE_TEST_SUITE_P(Formats, CacheMemoryTest,
                         testing::Values(MemoryCase{"fp16", {KvType::kFp16, 0, 0}},
                                         MemoryCase{"turbo_kv_4b", {KvType::kTurboKv4b, 0, 0}},
                                         MemoryCase{"windowed", {KvType::kTurboKv4b, 128, 4}}),
                         testing::PrintToStringParamName());

TEST(CacheMemory, GrowsInStepsToWhatTheFormulaSays) {
  const auto model = long_model();
  const KvSide side{KvType::kTurboKv4b, 64, 4};
  Session session(model, {.kv = {side, side}, .batch = 64});
  EXPECT_EQ(session.cache_memory().allocated, 0u);
  const std::vector<Token> tokens = random_tokens(700, 3);
  for (std::size_t begin = 0; begin < tokens.size(); begin += 100) {
    session.append(std::span(tokens).subspan(begin, 100));
    const CacheMemory memory = session.cache_memory();
    EXPECT_GE(memory.positions, session.position());
    // Never to the model's maximum unasked.
    EXPECT_LE(memory.positions, std::max<std::int64_t>(256, 2 * session.position()));
    EXPECT_NEAR(static_cast<double>(memory.allocated) / static_cast<double>(memory.formula), 1.0,
                0.02);
  }
}

TEST(CacheMemory, BitsAreThoseOfTheFormat) {
  const auto model = long_model();
  const Session session(
      model, {.kv = {{KvType::kTurboKv4b, 128, 0}, {KvType::kFp16, 0, 0}}, .reserve = 4096});
  EXPECT_NEAR(session.cache_memory().key_bits, 4.125, 0.01);
  EXPECT_NEAR(session.cache_memory().value_bits, 16.0, 0.01);
}

}  // namespace
}  // namespace quant::test
