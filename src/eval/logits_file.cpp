#include "quant/logits_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/mapped_file.h"
#include "base/to_size.h"
#include "quant/error.h"

namespace quant {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "_logits_";
constexpr std::size_t kHeaderBytes = kMagic.size() + 3 * sizeof(std::int32_t);
/// Of a row: scale and minimum.
constexpr std::size_t kRowHead = 2 * sizeof(float);
constexpr float kRange = 16.0f;
constexpr float kLargestCode = 65535.0f;

std::size_t row_bytes(int n_vocab) {
  const std::size_t codes = (to_size(n_vocab) + 1) / 2 * 2;
  return kRowHead + codes * sizeof(std::uint16_t);
}

void require_vocabulary(const LogitsHeader& header, int n_vocab) {
  if (header.n_vocab == n_vocab) return;
  throw Error(ErrorKind::kModel,
              fmt::format("the log-probabilities are of {} tokens and the model has {}; they were "
                          "computed with a model of another vocabulary",
                          header.n_vocab, n_vocab));
}

template <class T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

std::int64_t LogitsHeader::rows() const noexcept {
  return std::int64_t{chunks} * (context - context / 2 - 1);
}

void LogitsHeader::keep_chunks(int n) {
  chunks = std::min(chunks, n);
  tokens.resize(to_size(chunks) * to_size(context));
}

LogitsHeader logits_header(const Model& model, const EvalPlan& plan, std::span<const Token> text) {
  LogitsHeader header{.context = plan.context,
                      .n_vocab = model.config().n_vocab,
                      .chunks = static_cast<int>(plan.windows.size()),
                      .tokens = {}};
  if (const std::optional<Token> bos = model.tokenizer().prefix()) header.tokens.push_back(*bos);
  header.tokens.insert(header.tokens.end(), text.begin() + plan.offset, text.end());
  header.tokens.resize(to_size(header.chunks) * to_size(header.context));
  return header;
}

void require_same_tokens(const LogitsHeader& base, const LogitsHeader& here) {
  require_vocabulary(base, here.n_vocab);
  const bool fits = base.context == here.context && base.chunks >= here.chunks;
  const auto [theirs, ours] = std::ranges::mismatch(base.tokens, here.tokens);
  if (fits && ours == here.tokens.end()) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("the log-probabilities are of other tokens: {} chunks of {} there, {} of "
                          "{} here, and the first {} tokens are the same",
                          base.chunks, base.context, here.chunks, here.context,
                          ours - here.tokens.begin()));
}

EvalPlan plan_of(const Model& model, const LogitsHeader& header, bool allow_longer) {
  require_vocabulary(header, model.config().n_vocab);
  return plan_chunks(model, header.tokens, header.context, allow_longer);
}

LogitsWriter::LogitsWriter(const LogitsHeader& header, Sink sink)
    : sink_(std::move(sink)), row_(row_bytes(header.n_vocab)) {
  sink_(kMagic);
  const std::int32_t numbers[] = {header.context, header.n_vocab, header.chunks};
  sink_(bytes_of(std::span<const std::int32_t>(numbers)));
  sink_(bytes_of(std::span<const Token>(header.tokens)));
}

void LogitsWriter::add(std::span<const float> logits) {
  const auto [smallest, largest] = std::ranges::minmax(logits);
  const float minimum = std::max(smallest, largest - kRange);
  double sum = 0.0;
  for (const float x : logits) sum += static_cast<double>(std::exp(x - largest));
  const float head[] = {(largest - minimum) / kLargestCode,
                        minimum - largest - static_cast<float>(std::log(sum))};
  std::memcpy(row_.data(), head, kRowHead);
  const float per_step = head[0] > 0.0f ? 1.0f / head[0] : 0.0f;
  auto* codes = reinterpret_cast<std::uint16_t*>(row_.data() + kRowHead);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float steps = std::max(0.0f, logits[i] - minimum) * per_step;
    codes[i] = static_cast<std::uint16_t>(std::lrint(std::min(steps, kLargestCode)));
  }
  sink_(bytes_of(std::span<const std::byte>(row_)));
}

LogitsReader::LogitsReader(const std::string& path)
    : file_(std::make_unique<const MappedFile>(path)), header_{}, first_row_(kHeaderBytes) {
  const auto refuse = [&](const std::string& message) {
    throw Error(ErrorKind::kIo, fmt::format("{}: {}", path, message));
  };
  const std::span<const std::byte> bytes = file_->bytes();
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    refuse("not a file of log-probabilities (llama-perplexity --kl-divergence-base)");
  }
  std::int32_t numbers[3];
  std::memcpy(numbers, bytes.data() + kMagic.size(), sizeof(numbers));
  header_ = {numbers[0], numbers[1], numbers[2], {}};
  // Bounds that keep the products below within 64 bits.
  constexpr std::int32_t kMost = 1 << 30;
  if (header_.context < 4 || header_.n_vocab < 1 || header_.chunks < 1 ||
      header_.context > kMost / header_.chunks || header_.n_vocab > kMost) {
    refuse(fmt::format("a context of {}, {} tokens and {} chunks are not possible", header_.context,
                       header_.n_vocab, header_.chunks));
  }
  const std::size_t n_tokens = to_size(header_.context) * to_size(header_.chunks);
  first_row_ += n_tokens * sizeof(Token);
  const std::size_t expected = first_row_ + to_size(header_.rows()) * row_bytes(header_.n_vocab);
  if (bytes.size() != expected) {
    refuse(fmt::format("{} bytes long instead of {}; the run that wrote it did not end",
                       bytes.size(), expected));
  }
  header_.tokens.resize(n_tokens);
  std::memcpy(header_.tokens.data(), bytes.data() + kHeaderBytes, n_tokens * sizeof(Token));
}

LogitsReader::~LogitsReader() = default;
LogitsReader::LogitsReader(LogitsReader&&) noexcept = default;

LogProbabilities LogitsReader::row(std::int64_t i) const noexcept {
  const std::byte* row =
      file_->bytes().data() + first_row_ + to_size(i) * row_bytes(header_.n_vocab);
  float head[2];
  std::memcpy(head, row, kRowHead);
  // Rows are a multiple of four bytes long and start at one.
  const auto* codes = reinterpret_cast<const std::uint16_t*>(row + kRowHead);
  return {head[0], head[1], {codes, to_size(header_.n_vocab)}};
}

}  // namespace quant
