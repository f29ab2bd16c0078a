// A token allocates nothing once the session has grown to its size.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "quant/session.h"
#include "support/paths.h"
#include "support/random_tokens.h"
#include "support/tiny_model.h"

// Sanitizers have an operator new of their own; clang names them by features.
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define QUANT_OTHER_NEW
#endif

namespace {

std::atomic<std::int64_t> allocations{0};

[[maybe_unused]] void* counted(void* memory) {
  ++allocations;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

#ifndef QUANT_OTHER_NEW
// What this program allocates is counted; arrays come here too.
void* operator new(std::size_t size) { return counted(std::malloc(size)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(unit, (size + unit - 1) / unit * unit));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

namespace quant::test {
namespace {

TEST(Allocation, ATokenNeedsNone) {
#ifdef QUANT_OTHER_NEW
  GTEST_SKIP() << "a sanitizer allocates here";
#endif
  const TempDir dir;
  TinyModelSpec spec;
  spec.weight_type = TensorType::kQ8_0;
  const auto model = Model::load(write_tiny_model(dir.path(), spec));
  const std::vector<Token> tokens = random_tokens(400, 7);
  for (const MathMode math : {MathMode::kExact, MathMode::kFast}) {
    for (const int threads : {1, 2, 3}) {
      Session session(model, {.kv = {{KvType::kTurboKv4b, 32, 4}, {KvType::kUniform2b, 0, 0}},
                              .reserve = 400,
                              .threads = threads,
                              .math = math});
      session.append(std::span(tokens).first(1));
      session.logits();
      const std::int64_t before = allocations;
      for (std::size_t i = 1; i < tokens.size(); ++i) {
        session.append(std::span(tokens).subspan(i, 1));
        session.logits();
      }
      EXPECT_EQ(allocations - before, 0) << math_mode_name(math) << ", " << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace quant::test
