#include <fmt/format.h>

#include "commands.h"
#include "console.h"
#include "measure.h"
#include "quant/error.h"
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

std::string side_line(const Json& record, const char* type, const char* window, const char* bits,
                      const char* share, const char* mass) {
  std::string line = fmt::format(
      "{}, {} bits per value, window {}, sink {}, FP32 share {:.1f} % (at the end {:.1f} %)",
      record[type].get<std::string>(), record[bits].get<double>(), record[window].get<int>(),
      record["sink"].get<int>(), 100.0 * record[std::string(share) + "_mean"].get<double>(),
      100.0 * record[std::string(share) + "_end"].get<double>());
  if (record.contains(mass)) {
    line += fmt::format(", {:.1f} % of the attention", 100.0 * record[mass].get<double>());
  }
  return line;
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
  line("protocol", fmt::format("{}, {} of up to {}", r["protocol"].get<std::string>(),
                               counted(r["contexts"].get<int>(), "context"),
                               counted(r["context"].get<int>(), "token")));
  line("keys", side_line(r, "key_type", "key_window", "key_bits", "fp32_share", "exact_key_mass"));
  line("values", side_line(r, "value_type", "value_window", "value_bits", "value_fp32_share",
                           "exact_value_mass"));
  line("cache",
       fmt::format("{} bytes ({:.2f} MiB) for {} positions", r["kv_bytes"].get<std::size_t>(),
                   r["kv_bytes"].get<double>() / kMiB, r["kv_positions"].get<std::int64_t>()));
  line("math", fmt::format("{}, {}, {}, batch {}", r["math"].get<std::string>(),
                           r["isa"].get<std::string>(), counted(r["threads"].get<int>(), "thread"),
                           r["batch"].get<int>()));
  line("speed", fmt::format("{:.1f} tokens/s, {:.2f} s, peak memory {:.1f} MiB",
                            r["tokens_per_second"].get<double>(), r["seconds"].get<double>(),
                            r["peak_rss_bytes"].get<double>() / kMiB));
  return out;
}

}  // namespace

void run_perplexity(const RunOptions& run, const PplOptions& ppl, const std::string& text_file) {
  const std::string path = text_path_of(ppl, text_file);
  const auto [plan, result, record] = [&] {
    ProgressBar bar("perplexity");
    return measure_text(run, ppl, path,
                        [&](std::int64_t done, std::int64_t total) { bar.update(done, total); });
  }();
  say_what_is_left_out(plan);
  if (record["perplexity"].is_null()) {
    if (run.json) emit(run, to_text(record));
    throw Error(ErrorKind::kEvaluation,
                fmt::format("the perplexity is beyond what a number can hold (mean loss {:.1f})",
                            record["mean_nll"].get<double>()));
  }
  emit(run, run.json ? to_text(record) : report(record));
}

}  // namespace quant::tool
