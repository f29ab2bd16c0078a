// Memory before anything is allocated: published sizes, and agreement with a real cache.
#include "quant/memory.h"

#include <gtest/gtest.h>

#include "quant/session.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

TEST(Memory, PublishedTableOfLlama3b) {
  const ModelConfig config = shape_config("llama-3.2-3b");
  const auto kib_a_token = [&](std::string_view keys, std::string_view values) {
    const KvSpec spec{{parse_kv_type(keys), 0, 0}, {parse_kv_type(values), 0, 0}};
    return static_cast<double>(cache_bytes(config, spec, 512, 32768)) / 32768.0 / 1024.0;
  };
  EXPECT_EQ(kib_a_token("fp32", "fp32"), 224.0);
  EXPECT_EQ(kib_a_token("fp16", "fp16"), 112.0);
  EXPECT_EQ(kib_a_token("turbo_kv_4b", "fp16"), 70.4375);
  EXPECT_EQ(kib_a_token("uniform_2b", "fp16"), 66.5);
  const KvSpec window{{KvType::kUniform2b, 512, 0}, {KvType::kFp16, 0, 0}};
  const KvSpec flat{{KvType::kUniform2b, 0, 0}, {KvType::kFp16, 0, 0}};
  EXPECT_EQ(cache_bytes(config, window, 512, 32768) - cache_bytes(config, flat, 512, 32768),
            std::size_t{28 * 8 * 512 * 128 * 4});
}

TEST(Memory, IsWhatACacheAllocates) {
  const TempDir dir;
  const auto model = Model::load(write_tiny_model(dir.path(), tiny_spec("gemma3")));
  for (const int batch : {16, 64}) {
    const KvSpec spec{{KvType::kTurboKv4b, 24, 4}, {KvType::kQ8_0, 0, 4}};
    const Session session(model, {.kv = spec, .context = 300, .reserve = 300, .batch = batch});
    EXPECT_EQ(cache_bytes(model->config(), spec, batch, 300), session.cache_memory().allocated);
  }
}

TEST(Memory, SlidingWindowsBoundTheCache) {
  const ModelConfig config = shape_config("gemma-3-4b");
  const KvSpec fp16;
  const auto bytes = [&](std::int64_t n) { return cache_bytes(config, fp16, 512, n); };
  // 5 of 34 layers see everything: 4 heads of 256, keys and values of two bytes.
  EXPECT_EQ(bytes(65536) - bytes(32768), std::size_t{32768} * 5 * 4 * 256 * 2 * 2);
}

TEST(Memory, TheLongestContextFitsAndOneMoreDoesNot) {
  const ModelConfig config = shape_config("llama-3.2-1b");
  const std::size_t room = std::size_t{2} << 30;
  const KvSpec spec{{KvType::kTurboKv4b, 128, 4}, {KvType::kTurboKv4b, 128, 4}};
  const auto needed = [&](std::int64_t n) {
    return cache_bytes(config, spec, 512, n) + working_bytes(config, 512, 2, n);
  };
  const std::int64_t longest = longest_context(config, spec, 512, 2, room);
  EXPECT_LE(needed(longest), room);
  EXPECT_GT(needed(longest + 1), room);
  EXPECT_EQ(longest_context(config, spec, 512, 2, 1000), 0);
}

TEST(Memory, UnknownShapesAreRefused) {
  expect_error(ErrorKind::kUsage, "llama-3.2-3b", [] { shape_config("llama-4"); });
  for (const ModelShape& shape : model_shapes()) {
    EXPECT_EQ(shape_config(shape.name).layers.size(), static_cast<std::size_t>(shape.n_layers));
  }
}

}  // namespace
}  // namespace quant::test
