#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/splitmix64.h"
#include "eval/sentences.h"
#include "quant/error.h"
#include "quant/needle.h"
#include "quant/score.h"

namespace quant {
namespace {

constexpr std::array kSecrets = {"secret code",   "magic number", "access number",
                                 "serial number", "pass number",  "registration number"};
constexpr std::array kOwners = {"lighthouse",  "observatory", "iron chest",   "blue door",
                                "north gate",  "old library", "silver mine",  "glass tower",
                                "river ferry", "post office", "stone bridge", "mountain hut"};
constexpr std::uint64_t kFirstKey = 1'000'000, kKeys = 9'000'000;
/// Pieces of text that are tried until one makes the length to the token.
constexpr int kDraws = 200;
/// Corrections of a piece's beginning until it is given up.
constexpr int kCorrections = 8;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kUsage, message); }

void refuse_repetition(const auto& values, const char* what) {
  for (auto at = values.begin(); at != values.end(); ++at) {
    if (std::find(values.begin(), at, *at) == at) continue;
    refuse(fmt::format("{} {} is given twice", what, *at));
  }
}

void check_options(const ModelConfig& config, const NeedleOptions& options) {
  if (options.lengths.empty() || options.depths.empty() || options.trials < 1) {
    refuse("needles need at least one length, one depth and one trial");
  }
  for (const int length : options.lengths) {
    if (length <= config.context_length || options.allow_longer) continue;
    refuse(
        fmt::format("a length of {} is above the model's context length of {}; say --allow-longer "
                    "to measure beyond it",
                    length, config.context_length));
  }
  for (const double depth : options.depths) {
    if (depth >= 0.0 && depth <= 100.0) continue;
    refuse(fmt::format("a depth of {} is not between 0 and 100 percent", depth));
  }
  refuse_repetition(options.lengths, "length");
  refuse_repetition(options.depths, "depth");
}

/// The text's bytes and where its tokens begin in them.
class Text {
 public:
  Text(const Tokenizer& tokenizer, std::string_view bytes)
      : bytes_(bytes), sentence_ends_(sentence_ends(bytes)) {
    std::size_t at = 0;
    for (const Token token : tokenizer.encode(bytes)) {
      starts_.push_back(at);
      at += tokenizer.token_bytes(token).size();
    }
    // Some vocabularies put a space before a text.
    const std::size_t extra = at > bytes.size() ? at - bytes.size() : 0;
    for (std::size_t& start : starts_) start -= std::min(start, extra);
    starts_.push_back(bytes.size());
  }

  std::int64_t tokens() const { return static_cast<std::int64_t>(starts_.size()) - 1; }
  std::string_view bytes() const { return bytes_; }
  /// The first token that begins at or behind a byte.
  std::int64_t token_at(std::size_t byte) const {
    return std::ranges::lower_bound(starts_, byte) - starts_.begin();
  }
  /// Where a token begins, or the character behind it if that is in the middle of one.
  std::size_t byte_at(std::int64_t token) const {
    std::size_t byte = starts_[static_cast<std::size_t>(token)];
    while (byte < bytes_.size() && (static_cast<unsigned char>(bytes_[byte]) & 0xC0) == 0x80) {
      ++byte;
    }
    return byte;
  }
  /// The sentence ends with at least n tokens before them.
  std::span<const std::size_t> ends_behind(std::int64_t n) const {
    if (n > tokens()) return {};
    const auto first = std::ranges::lower_bound(sentence_ends_, byte_at(n));
    return {first, sentence_ends_.end()};
  }
  /// The sentence end nearest to a byte between begin and end, which are such places themselves.
  std::size_t nearest_end(std::size_t byte, std::size_t begin, std::size_t end) const {
    const auto above = std::ranges::lower_bound(sentence_ends_, byte);
    const std::size_t up = above == sentence_ends_.end() ? end : std::min(*above, end);
    const std::size_t down =
        above == sentence_ends_.begin() ? begin : std::max(*std::prev(above), begin);
    return up - byte < byte - down ? up : down;
  }

 private:
  std::string_view bytes_;
  std::vector<std::size_t> starts_;  // of tokens, and the end of the last
  std::vector<std::size_t> sentence_ends_;
};

/// The needle as a sentence of its own, before a byte of the haystack.
std::string with_needle(std::string_view before, std::string_view needle, std::string_view after) {
  std::string out(before);
  if (!before.empty()) out += ' ';
  out += needle;
  if (!after.empty() && after[0] != ' ' && after[0] != '\n' && after[0] != '\r') out += ' ';
  return out.append(after);
}

std::uint64_t stream_seed(const NeedleOptions& options, const NeedlePrompt& prompt) {
  std::uint64_t seed = options.seed;
  for (const std::uint64_t part :
       {static_cast<std::uint64_t>(prompt.length), std::bit_cast<std::uint64_t>(prompt.depth),
        static_cast<std::uint64_t>(prompt.trial)}) {
    seed = SplitMix64(seed ^ part).next();
  }
  return seed;
}

class Maker {
 public:
  Maker(const Model& model, std::string_view text, const NeedleOptions& options)
      : tokenizer_(model.tokenizer()), text_(tokenizer_, text), options_(options) {
    if (text_.ends_behind(0).empty()) {
      refuse("the text has no ends of sentences (. ! ?) where a needle could stand");
    }
  }

  NeedlePrompt make(int length, double depth, int trial) const {
    NeedlePrompt prompt{};
    prompt.length = length;
    prompt.depth = depth;
    prompt.trial = trial;
    SplitMix64 random(stream_seed(options_, prompt));
    for (int draw = 0; draw < kDraws; ++draw) {
      std::string asked = draw_words(random, prompt);
      if (is_in_text(prompt)) continue;
      const auto ends = ends_for(prompt, asked);
      prompt.end = ends[random.below(ends.size())];
      if (fit(prompt, asked)) return prompt;
    }
    refuse(
        fmt::format("no piece of the text makes a prompt of exactly {} tokens; try another "
                    "length",
                    length));
  }

 private:
  static std::string draw_words(SplitMix64& random, NeedlePrompt& prompt) {
    const std::string asked =
        fmt::format("{} {} the {}", kSecrets[random.below(kSecrets.size())],
                    random.below(2) == 0 ? "of" : "for", kOwners[random.below(kOwners.size())]);
    prompt.statement = fmt::format("The {} is", asked);
    prompt.key = std::to_string(kFirstKey + random.below(kKeys));
    return asked;
  }

  bool is_in_text(const NeedlePrompt& prompt) const {
    return text_.bytes().find(prompt.key) != std::string_view::npos ||
           text_.bytes().find(prompt.statement) != std::string_view::npos;
  }

  /// Where a haystack may end: with enough text before.
  std::span<const std::size_t> ends_for(NeedlePrompt prompt, const std::string& asked) const {
    prompt.begin = prompt.needle = prompt.end = 0;
    const std::int64_t rest = static_cast<std::int64_t>(window_of(prompt, asked).tokens.size());
    if (rest >= prompt.length) {
      refuse(
          fmt::format("a length of {} has no room for a haystack: needle, question and answer "
                      "take {} tokens",
                      prompt.length, rest));
    }
    const auto ends = text_.ends_behind(prompt.length - rest);
    if (ends.empty()) {
      refuse(
          fmt::format("the text is too short: a length of {} needs {} tokens of whole sentences, "
                      "and it has {} tokens in all; tools/fetch_texts.sh brings novels",
                      prompt.length, prompt.length - rest, text_.tokens()));
    }
    return ends;
  }

  /// Moves the haystack's beginning until the window has the prompt's length; false if no
  /// beginning does that.
  bool fit(NeedlePrompt& prompt, const std::string& asked) const {
    const std::int64_t last = text_.token_at(prompt.end);
    std::int64_t n = std::min<std::int64_t>(prompt.length, last);
    for (int i = 0; i < kCorrections; ++i) {
      if (n < 1 || n > last) return false;
      const std::int64_t first = last - n;
      prompt.begin = text_.byte_at(first);
      const std::int64_t before = std::llround(prompt.depth / 100.0 * static_cast<double>(n));
      const std::size_t wanted =
          std::clamp(text_.byte_at(first + before), prompt.begin, prompt.end);
      prompt.needle = text_.nearest_end(wanted, prompt.begin, prompt.end);
      prompt.window = window_of(prompt, asked);
      const std::int64_t missing =
          prompt.length - static_cast<std::int64_t>(prompt.window.tokens.size());
      if (missing == 0) {
        prompt.placed = 100.0 * static_cast<double>(text_.token_at(prompt.needle) - first) /
                        static_cast<double>(n);
        return true;
      }
      n += missing;
    }
    return false;
  }

  /// Prompt and answer. What is scored begins where the answer changes the prompt's tokens.
  EvalWindow window_of(const NeedlePrompt& prompt, const std::string& asked) const {
    const std::string needle = fmt::format("{} {}.", prompt.statement, prompt.key);
    const std::string hay =
        with_needle(text_.bytes().substr(prompt.begin, prompt.needle - prompt.begin), needle,
                    text_.bytes().substr(prompt.needle, prompt.end - prompt.needle));
    std::vector<TextPiece> pieces;
    if (options_.chat.has_value()) {
      const std::string message = fmt::format(
          "Somewhere in the following text stands the {0}. Find it and remember it.\n\n{1}\n\nWhat "
          "is the {0}?",
          asked, hay);
      pieces = render_user_message(*options_.chat, message);
      pieces.push_back({prompt.statement});
    } else {
      pieces.push_back({fmt::format("{}\n\n{}", hay, prompt.statement)});
    }
    const std::vector<Token> question = encode_context(tokenizer_, pieces);
    pieces.back().text += " " + prompt.key;
    EvalWindow window{encode_context(tokenizer_, pieces), 0};
    window.first_scored =
        std::ranges::mismatch(question, window.tokens).in2 - window.tokens.begin();
    return window;
  }

  const Tokenizer& tokenizer_;
  Text text_;
  const NeedleOptions& options_;
};

}  // namespace

std::vector<NeedlePrompt> needle_prompts(const Model& model, std::string_view text,
                                         const NeedleOptions& options) {
  check_options(model.config(), options);
  const Maker maker(model, text, options);
  std::vector<NeedlePrompt> prompts;
  for (const int length : options.lengths) {
    for (const double depth : options.depths) {
      for (int trial = 0; trial < options.trials; ++trial) {
        prompts.push_back(maker.make(length, depth, trial));
      }
    }
  }
  return prompts;
}

}  // namespace quant
