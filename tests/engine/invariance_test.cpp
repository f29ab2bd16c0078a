// What may not change a single bit of a loss: the batch size, the number of threads, and a window
// that is as long as the context.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/kernels.h"
#include "quant/session.h"
#include "support/expect_error.h"
#include "support/paths.h"
#include "support/random_tokens.h"
#include "support/reference.h"
#include "support/tiny_model.h"

namespace quant::test {
namespace {

constexpr int kPositions = 320;

std::shared_ptr<const Model> sliding_model(TensorType type) {
  const TempDir dir;
  TinyModelSpec spec = tiny_spec("gemma3");
  spec.n_heads = 4;
  spec.n_kv_heads = 2;
  spec.n_layers = 3;
  spec.weight_type = type;
  return Model::load(write_tiny_model(dir.path(), spec));
}

std::vector<double> losses_of(const std::shared_ptr<const Model>& model, SessionOptions options,
                              const std::vector<Token>& tokens) {
  options.reserve = static_cast<int>(tokens.size());
  Session session(model, options);
  std::vector<TokenLoss> losses(tokens.size() - 1);
  session.append(std::span(tokens).first(losses.size()), std::span(tokens).subspan(1), losses);
  std::vector<double> nll;
  for (const TokenLoss& loss : losses) nll.push_back(loss.nll);
  return nll;
}

struct Spec {
  KvType type;
  int window;
  int sink;
};

std::vector<Spec> all_specs() {
  std::vector<Spec> specs;
  for (const KvFormatInfo& format : kv_formats()) {
    for (const int window : {0, 128}) {
      for (const int sink : {0, 4}) specs.push_back({format.type, window, sink});
    }
  }
  return specs;
}

void PrintTo(const Spec& spec, std::ostream* out) {
  *out << kv_format_info(spec.type).name << "_w" << spec.window << "_s" << spec.sink;
}

struct RunShape {
  int batch;
  int threads;
};
/// With three threads, chunks of one head of a single token are on two of them.
constexpr RunShape kAllRuns[] = {{1, 1}, {7, 1},  {64, 1},  {512, 1}, {1, 2},
                                 {7, 2}, {64, 2}, {512, 2}, {1, 3}};

void expect_invariant(const std::shared_ptr<const Model>& model, const KvSpec& kv,
                      const std::vector<Token>& tokens, std::span<const RunShape> runs = kAllRuns) {
  for (const MathMode math : {MathMode::kExact, MathMode::kFast}) {
    SessionOptions options{.kv = kv, .batch = 512, .threads = 1, .math = math};
    const std::vector<double> expected = losses_of(model, options, tokens);
    for (const RunShape& run : runs) {
      options.batch = run.batch;
      options.threads = run.threads;
      EXPECT_EQ(losses_of(model, options, tokens), expected)
          << describe(kv) << ", " << math_mode_name(math) << ", batch " << run.batch << ", "
          << run.threads << " threads";
    }
  }
}

class Invariance : public testing::TestWithParam<Spec> {};

TEST_P(Invariance, BatchAndThreadsDoNotChangeOneBit) {
  static const auto model = sliding_model(TensorType::kQ8_0);
  const KvSide side{GetParam().type, GetParam().window, GetParam().sink};
  expect_invariant(model, {side, side}, random_tokens(kPositions, 7));
}

INSTANTIATE_TEST_SUITE_P(Formats, Invariance, testing::ValuesIn(all_specs()),
                         testing::PrintToStringParamName());

TEST(Invariance, DifferentSidesTogether) {
  const auto model = sliding_model(TensorType::kQ8_0);
  expect_invariant(model, {{KvType::kTurboKv4b, 128, 4}, {KvType::kUniform2b, 40, 0}},
                   random_tokens(kPositions, 7));
}

/// Contexts of several chunks: those of a window count for more when threads share out a single
/// token's, whose head or heads end on either side of the middle.
TEST(Invariance, LongContextsWithWindows) {
  constexpr RunShape kRuns[] = {{1, 2}, {1, 3}};
  for (const int n_kv_heads : {1, 2}) {
    const TempDir dir;
    TinyModelSpec spec;
    spec.n_layers = 1;
    spec.n_kv_heads = n_kv_heads;
    spec.context_length = 1024;
    const auto model = Model::load(write_tiny_model(dir.path(), spec));
    const std::vector<Token> tokens = random_tokens(600, 7);
    expect_invariant(model, {{KvType::kTurboKv4b, 128, 4}, {KvType::kTurboKv4b, 300, 0}}, tokens,
                     kRuns);
    expect_invariant(model, {{KvType::kUniform2b, 60, 270}, {KvType::kFp16, 0, 270}}, tokens,
                     kRuns);
  }
}

TEST(Invariance, ShapesOfHeads) {
  constexpr RunShape kRuns[] = {{1, 1}, {7, 2}, {64, 2}, {1, 3}};
  const auto expect_invariant_heads = [&](int n_heads, int n_kv_heads, int value_dim) {
    const TempDir dir;
    TinyModelSpec spec;
    spec.n_layers = 1;
    spec.n_heads = n_heads;
    spec.n_kv_heads = n_kv_heads;
    spec.value_dim = value_dim;
    const auto model = Model::load(write_tiny_model(dir.path(), spec));
    expect_invariant(model, {{KvType::kTurboKv4b, 40, 4}, {KvType::kUniform2b, 0, 0}},
                     random_tokens(kPositions, 7), kRuns);
  };
  expect_invariant_heads(4, 2, 32);
  expect_invariant_heads(8, 8, 16);
  expect_invariant_heads(128, 1, 16);
}

/// Fast math makes inputs ready for both kinds of products.
TEST(Invariance, CodesAndFloatsInOneModel) {
  const TempDir dir;
  const auto mixed = Model::load(write_tiny_model(dir.path(), tiny_mixed_spec()));
  const KvSide side{KvType::kTurboKv4b, 0, 0};
  expect_invariant(mixed, {side, side}, random_tokens(kPositions, 7));
  expect_invariant(sliding_model(TensorType::kF32), {side, side}, random_tokens(kPositions, 7));
}

TEST(Invariance, ShortWindowsOnReferenceModels) {
  const std::filesystem::path index = shared_dir() / "ref" / "tiny" / "tiny.json";
  QUANT_REQUIRE_PATH(index);
  constexpr RunShape kSomeRuns[] = {{7, 1}, {1, 2}};
  for (const LogitReference& reference : read_references(index)) {
    const auto model = Model::load(reference.model.string());
    for (const int window : {16, 40}) {
      const KvSide side{KvType::kTurboKv3b, window, 0};
      expect_invariant(model, {side, side}, reference.tokens, kSomeRuns);
    }
  }
}

TEST(Window, AsLongAsTheContextIsFp32BitForBit) {
  for (const TensorType type : {TensorType::kF32, TensorType::kQ8_0}) {
    const auto model = sliding_model(type);
    const std::vector<Token> tokens = random_tokens(kPositions, 7);
    const KvSide fp32{KvType::kFp32, 0, 0};
    const std::vector<double> expected = losses_of(model, {.kv = {fp32, fp32}}, tokens);
    for (const KvFormatInfo& format : kv_formats()) {
      for (const int window : {kPositions, 100000}) {
        const KvSide side{format.type, window, 0};
        EXPECT_EQ(losses_of(model, {.kv = {side, side}, .batch = 64}, tokens), expected)
            << format.name << " window " << window;
      }
    }
  }
}

TEST(Window, OfNothingIsNotFp32) {
  const auto model = sliding_model(TensorType::kF32);
  const std::vector<Token> tokens = random_tokens(kPositions, 7);
  const KvSide fp32{KvType::kFp32, 0, 0};
  const KvSide flat{KvType::kUniform2b, 0, 0};
  EXPECT_NE(losses_of(model, {.kv = {flat, flat}}, tokens),
            losses_of(model, {.kv = {fp32, fp32}}, tokens));
}

TEST(Isa, AllGiveTheSameBits) {
  for (const TensorType type : {TensorType::kF32, TensorType::kQ8_0}) {
    const auto model = sliding_model(type);
    const std::vector<Token> tokens = random_tokens(100, 7);
    for (const KvFormatInfo& format : kv_formats()) {
      const KvSide side{format.type, 16, 4};
      for (const MathMode math : {MathMode::kExact, MathMode::kFast}) {
        SessionOptions options{.kv = {side, side}, .math = math, .isa = Isa::kScalar};
        const std::vector<double> expected = losses_of(model, options, tokens);
        for (const Isa isa : available_isas()) {
          options.isa = isa;
          EXPECT_EQ(losses_of(model, options, tokens), expected)
              << format.name << ", " << isa_name(isa) << ", " << math_mode_name(math);
        }
      }
    }
  }
}

TEST(Session, RefusesAHeadDimThatTheFormatCannotHold) {
  const TempDir dir;
  TinyModelSpec spec;
  spec.head_dim = 144;  // 9·16 has no Hadamard matrix here
  const auto model = Model::load(write_tiny_model(dir.path(), spec));
  const KvSide plain{KvType::kFp16, 0, 0};
  EXPECT_NO_THROW(Session(model, {.kv = {plain, plain}}));
  const KvSide rotated{KvType::kTurboKv4b, 0, 0};
  expect_error(ErrorKind::kModel, "144", [&] { Session(model, {.kv = {rotated, plain}}); });
  expect_error(ErrorKind::kModel, "144", [&] { Session(model, {.kv = {plain, rotated}}); });
}

TEST(Session, TheContextChoosesLongRopeFactorsOnce) {
  const TempDir dir;
  const auto model = Model::load(write_tiny_model(dir.path(), tiny_spec("phi3")));
  EXPECT_EQ(Session(model, {.kv = {}, .context = 128}).rope_factors(), "short");
  EXPECT_EQ(Session(model, {.kv = {}, .context = 129}).rope_factors(), "long");
  EXPECT_EQ(Session(sliding_model(TensorType::kF32), {}).rope_factors(), "");
}

TEST(Session, CallsMayDivideATextAnywhere) {
  const auto model = sliding_model(TensorType::kQ8_0);
  const std::vector<Token> tokens = random_tokens(200, 7);
  const KvSide side{KvType::kTurboKv4b, 32, 4};
  Session whole(model, {.kv = {side, side}});
  whole.append(tokens);
  const std::vector<float> expected(whole.logits().begin(), whole.logits().end());
  Session pieces(model, {.kv = {side, side}});
  for (std::size_t begin = 0; begin < tokens.size(); begin += 33) {
    const std::size_t n = std::min<std::size_t>(33, tokens.size() - begin);
    pieces.append(std::span(tokens).subspan(begin, n));
  }
  EXPECT_EQ(std::vector<float>(pieces.logits().begin(), pieces.logits().end()), expected);
}

TEST(Session, RewindForgetsWhatCameAfterTheMark) {
  const auto model = sliding_model(TensorType::kF32);
  const std::vector<Token> tokens = random_tokens(300, 7);
  const KvSide side{KvType::kTurboKv4b, 24, 4};
  for (const std::size_t at : {std::size_t{2}, std::size_t{40}, std::size_t{200}}) {
    Session session(model, {.kv = {side, side}, .batch = 64});
    session.append(std::span(tokens).first(at));
    const Session::Mark mark = session.mark();
    session.append(std::span(tokens).subspan(at));
    const std::vector<float> expected(session.logits().begin(), session.logits().end());
    session.rewind(mark);
    EXPECT_EQ(session.position(), static_cast<std::int64_t>(at));
    session.append(random_tokens(290 - static_cast<int>(at), 7, 100));
    session.rewind(mark);
    session.append(std::span(tokens).subspan(at));
    EXPECT_EQ(std::vector<float>(session.logits().begin(), session.logits().end()), expected) << at;
  }
}

TEST(Session, ResetForgetsEverything) {
  const auto model = sliding_model(TensorType::kF32);
  const std::vector<Token> tokens = random_tokens(150, 7);
  const KvSide side{KvType::kUniform4b, 32, 4};
  Session fresh(model, {.kv = {side, side}});
  fresh.append(tokens);
  const std::vector<float> expected(fresh.logits().begin(), fresh.logits().end());
  Session used(model, {.kv = {side, side}});
  used.append(random_tokens(300, 7, 200));
  used.reset();
  EXPECT_EQ(used.position(), 0);
  used.append(tokens);
  EXPECT_EQ(std::vector<float>(used.logits().begin(), used.logits().end()), expected);
}

/// Keys of the second layer are beyond fp16 from some token on.
TEST(Session, ARefusedRowLeavesNothingToReadAndCanBeForgotten) {
  const TempDir dir;
  TinyModelSpec spec;
  spec.n_layers = 2;
  GgufWriter writer = tiny_model(spec);
  const std::size_t rows = static_cast<std::size_t>(spec.n_kv_heads * spec.head_dim);
  const std::size_t cols = static_cast<std::size_t>(spec.n_embd);
  writer.remove_tensor("blk.1.attn_k.weight")
      .add_tensor("blk.1.attn_k.weight", {cols, rows}, std::vector<float>(rows * cols, 1e5f));
  const std::string path = (dir.path() / "large_keys.gguf").string();
  writer.write(path);
  const auto model = Model::load(path);
  const std::vector<Token> tokens = random_tokens(20, 7);
  for (const int threads : {1, 2}) {
    Session session(
        model,
        {.kv = {{KvType::kFp16, 8, 2}, {KvType::kFp16, 8, 2}}, .batch = 16, .threads = threads});
    const Session::Mark empty = session.mark();
    for (int round = 0; round < 2; ++round) {
      expect_error(ErrorKind::kEvaluation, "layer 1, position 0: a key is not finite",
                   [&] { session.append(tokens); });
      expect_error(ErrorKind::kUsage, "reset or rewind", [&] { session.append(tokens); });
      expect_error(ErrorKind::kUsage, "reset or rewind", [&] { session.mark(); });
      expect_error(ErrorKind::kUsage, "no logits", [&] { session.logits(); });
      expect_error(ErrorKind::kUsage, "batch of 0", [&] { session.logits(0, 1); });
      round == 0 ? session.rewind(empty) : session.reset();
      EXPECT_EQ(session.position(), 0);
    }
  }
}

TEST(Session, RefusesAModelWithoutPackedWeights) {
  const TempDir dir;
  const auto model = Model::load(write_tiny_model(dir.path(), {}), {.pack_weights = false});
  expect_error(ErrorKind::kUsage, "packing", [&] { Session(model, {}); });
}

}  // namespace
}  // namespace quant::test
