#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "commands.h"
#include "console.h"
#include "files.h"
#include "quant/error.h"
#include "quant/kl_divergence.h"
#include "quant/logits_file.h"
#include "quant/perplexity.h"
#include "record.h"

namespace quant::tool {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kUsage, message); }

/// "" if no text was named and the base's own tokens will do.
std::string text_path_of(const PplOptions& ppl, const std::string& text_file) {
  if (!ppl.text.empty() && !text_file.empty()) {
    refuse("two texts given: --ppl FILE and -f FILE; leave one out");
  }
  if (!ppl.text.empty()) return ppl.text;
  if (!text_file.empty()) return text_file;
  if (!ppl.kl_base.empty()) return "";
  if (stdin_is_piped()) return "-";
  refuse("--ppl needs a text: quant model.gguf --ppl text.txt, or a pipe into it");
}

/// llama-perplexity drops one newline at the end of a file.
std::string text_of(const std::string& path, Protocol protocol) {
  std::string text = read_text(path);
  if (protocol == Protocol::kLlamaCpp && text.ends_with('\n')) text.pop_back();
  if (text.empty()) {
    refuse(fmt::format("{}: the text is empty", path == "-" ? "standard input" : path));
  }
  return text;
}

Protocol protocol_of(const PplOptions& ppl) {
  const bool with_logits = !ppl.save_logits.empty() || !ppl.kl_base.empty();
  if (ppl.protocol.empty()) return with_logits ? Protocol::kLlamaCpp : Protocol::kContext;
  const Protocol protocol = parse_protocol(ppl.protocol);
  if (with_logits && protocol != Protocol::kLlamaCpp) {
    refuse(fmt::format("--save-logits and --kl-base go with --protocol llamacpp, not {}",
                       ppl.protocol));
  }
  return protocol;
}

/// What is measured, and where it comes from.
struct Task {
  std::string path;  // "" if the tokens are those of --kl-base
  std::string text;
  std::vector<Token> tokens;
  EvalPlan plan;
  LogitsHeader header;  // with --save-logits or --kl-base
};

Task task_of_base(const Model& model, const PplOptions& ppl, LogitsHeader header) {
  if (ppl.chunks > 0) header.keep_chunks(ppl.chunks);
  return {.path = {},
          .text = {},
          .tokens = header.tokens,
          .plan = plan_of(model, header, ppl.allow_longer),
          .header = header};
}

Task task_of(const Model& model, const RunOptions& run, const PplOptions& ppl,
             const std::string& path, const LogitsReader* base) {
  PlanOptions options{.protocol = protocol_of(ppl),
                      .context = run.context,
                      .stride = ppl.stride,
                      .chunks = ppl.chunks,
                      .allow_longer = ppl.allow_longer};
  if (base != nullptr && options.context == 0) options.context = base->header().context;
  if (base != nullptr && options.chunks == 0) options.chunks = base->header().chunks;
  if (path.empty()) return task_of_base(model, ppl, base->header());
  Task task{.path = path,
            .text = text_of(path, options.protocol),
            .tokens = {},
            .plan = {},
            .header = {}};
  task.tokens = model.tokenizer().encode(task.text);
  task.plan = plan_evaluation(model, task.tokens, options);
  if (options.protocol == Protocol::kLlamaCpp) {
    task.header = logits_header(model, task.plan, task.tokens);
  }
  if (base != nullptr) require_same_tokens(base->header(), task.header);
  return task;
}

void say_what_is_left_out(const EvalPlan& plan) {
  if (plan.dropped_tokens == 0) return;
  note(fmt::format("{} of {} tokens of the text are not used", plan.dropped_tokens,
                   plan.text_tokens));
}

/// What becomes of the logits of scored tokens: written, compared, or not even computed.
class LogitsOutput {
 public:
  LogitsOutput(const PplOptions& ppl, const LogitsHeader& header, const LogitsReader* base)
      : base_(base) {
    if (ppl.save_logits.empty()) return;
    file_.emplace(ppl.save_logits);
    writer_.emplace(header, [this](std::string_view bytes) { file_->write(bytes); });
  }
  LogitsVisitor visitor() {
    if (base_ == nullptr && !writer_.has_value()) return {};
    return [this](std::span<const float> logits, Token target, const TokenLoss& loss) {
      if (writer_.has_value()) writer_->add(logits);
      if (base_ == nullptr) return;
      const LogProbabilities row = base_->row(static_cast<std::int64_t>(tokens_.size()));
      tokens_.push_back(token_kl(row, logits, target, loss));
    };
  }
  void finish() {
    if (file_.has_value()) file_->commit();
  }
  KlSummary summary() const { return summarize_kl(tokens_); }

 private:
  const LogitsReader* base_;
  std::optional<OutputFile> file_;
  std::optional<LogitsWriter> writer_;
  std::vector<TokenKl> tokens_;
};

void add_kl(Json& record, const std::string& base_path, const KlSummary& kl) {
  record["kl_base_path"] = base_path;
  record["base_perplexity"] = number_or_null(kl.base_perplexity);
  record["delta_nll"] = kl.delta_nll;
  record["delta_nll_standard_error"] = number_or_null(kl.delta_nll_standard_error);
  record["kl_mean"] = kl.kl_mean;
  record["kl_standard_error"] = number_or_null(kl.kl_standard_error);
  record["kl_p50"] = kl.kl_p50;
  record["kl_p90"] = kl.kl_p90;
  record["kl_p95"] = kl.kl_p95;
  record["kl_p99"] = kl.kl_p99;
  record["kl_p999"] = kl.kl_p999;
  record["kl_max"] = kl.kl_max;
  record["same_top1"] = kl.same_top1;
  record["delta_p_rms"] = kl.delta_p_rms;
}

std::string side_line(const Json& record, const char* type, const char* window, const char* bits,
                      const char* share) {
  return fmt::format(
      "{}, {} bits per value, window {}, sink {}, FP32 share {:.1f} % (at the end {:.1f} %)",
      record[type].get<std::string>(), record[bits].get<double>(), record[window].get<int>(),
      record["sink"].get<int>(), 100.0 * record[std::string(share) + "_mean"].get<double>(),
      100.0 * record[std::string(share) + "_end"].get<double>());
}

std::string uncertainty(const Json& value, int decimals = 4) {
  return value.is_null() ? "unknown" : fmt::format("{:.{}f}", value.get<double>(), decimals);
}

std::string report(const Json& r) {
  std::string out;
  const auto line = [&](const char* label, const std::string& value) {
    out += fmt::format("{:<12} {}\n", label, value);
  };
  line("perplexity",
       fmt::format("{:.4f} ± {} (± {} over blocks of 64 tokens)", r["perplexity"].get<double>(),
                   uncertainty(r["standard_error"]), uncertainty(r["standard_error_blocks"])));
  line("mean loss", fmt::format("{:.6f} nats over {} scored tokens", r["mean_nll"].get<double>(),
                                r["scored_tokens"].get<std::int64_t>()));
  if (r.contains("kl_mean")) {
    line("base",
         fmt::format("perplexity {}, delta {:+.6f} ± {} nats a token", r["base_perplexity"].dump(),
                     r["delta_nll"].get<double>(), uncertainty(r["delta_nll_standard_error"], 6)));
    line("KL", fmt::format("mean {:.6f} ± {}, median {:.6f}, 99 % {:.6f}, max {:.6f} nats",
                           r["kl_mean"].get<double>(), uncertainty(r["kl_standard_error"], 6),
                           r["kl_p50"].get<double>(), r["kl_p99"].get<double>(),
                           r["kl_max"].get<double>()));
    line("same top",
         fmt::format("{:.3f} %, RMS of delta p {:.3f} %", 100.0 * r["same_top1"].get<double>(),
                     100.0 * r["delta_p_rms"].get<double>()));
  }
  line("protocol", fmt::format("{}, {} context{} of up to {} tokens",
                               r["protocol"].get<std::string>(), r["contexts"].get<int>(),
                               r["contexts"] == 1 ? "" : "s", r["context"].get<int>()));
  line("keys", side_line(r, "key_type", "key_window", "key_bits", "fp32_share"));
  line("values", side_line(r, "value_type", "value_window", "value_bits", "value_fp32_share"));
  line("cache",
       fmt::format("{} bytes ({:.2f} MiB) for {} positions", r["kv_bytes"].get<std::size_t>(),
                   r["kv_bytes"].get<double>() / kMiB, r["kv_positions"].get<std::int64_t>()));
  line("math", fmt::format("{}, {}, {} thread{}, batch {}", r["math"].get<std::string>(),
                           r["isa"].get<std::string>(), r["threads"].get<int>(),
                           r["threads"] == 1 ? "" : "s", r["batch"].get<int>()));
  line("speed", fmt::format("{:.1f} tokens/s, {:.2f} s, peak memory {:.1f} MiB",
                            r["tokens_per_second"].get<double>(), r["seconds"].get<double>(),
                            r["peak_rss_bytes"].get<double>() / kMiB));
  return out;
}

}  // namespace

void run_perplexity(const RunOptions& run, const PplOptions& ppl, const std::string& text_file) {
  SessionOptions options = session_options(run, MathMode::kExact);
  const std::string path = text_path_of(ppl, text_file);
  // What is wrong with the command line is said before anything is read.
  protocol_of(ppl);
  if (!ppl.save_logits.empty()) check_writable(ppl.save_logits);
  std::optional<LogitsReader> base;
  if (!ppl.kl_base.empty()) base.emplace(ppl.kl_base);
  const auto model = Model::load(run.model, {.threads = options.threads});
  const Task task = task_of(*model, run, ppl, path, base.has_value() ? &*base : nullptr);
  say_what_is_left_out(task.plan);
  options.context = task.plan.session_context;
  options.reserve = task.plan.context;
  options.batch = std::min(options.batch, task.plan.context);
  Session session(model, options);
  LogitsOutput logits(ppl, task.header, base.has_value() ? &*base : nullptr);
  PerplexityResult result;
  {
    ProgressBar bar("perplexity");
    result = measure_perplexity(
        session, task.plan, [&](std::int64_t done, std::int64_t total) { bar.update(done, total); },
        logits.visitor());
  }
  logits.finish();
  Json record =
      perplexity_record(session, run, task.plan, result, task.text, task.path, task.tokens);
  if (base.has_value()) add_kl(record, ppl.kl_base, logits.summary());
  if (record["perplexity"].is_null()) {
    if (run.json) emit(run, to_text(record));
    throw Error(ErrorKind::kEvaluation,
                fmt::format("the perplexity is beyond what a number can hold (mean loss {:.1f})",
                            result.mean_nll));
  }
  emit(run, run.json ? to_text(record) : report(record));
}

}  // namespace quant::tool
