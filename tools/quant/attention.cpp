// quant attention: where attention goes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "attention_report.h"
#include "commands.h"
#include "console.h"
#include "measure.h"
#include "quant/attention_mass.h"
#include "quant/error.h"

namespace quant::tool {
namespace {

std::vector<PlannedText> plan_texts(const Model& model, const RunOptions& run,
                                    const PplOptions& ppl, const AttentionArguments& attention) {
  std::vector<PlannedText> texts;
  for (const std::string& path : attention.texts) {
    texts.push_back(plan_text(model, path, plan_options(run, ppl)));
    say_what_is_left_out(texts.back().plan);
  }
  return texts;
}

int longest_context(const std::vector<PlannedText>& texts) {
  int longest = 0;
  for (const PlannedText& text : texts) longest = std::max(longest, text.plan.context);
  return longest;
}

/// A query that counts should see all that the claim is about, but some must be left.
std::int64_t first_counted(const AttentionArguments& attention, int context) {
  return attention.from.value_or(std::min<std::int64_t>(kLast + kNext, 3 * context / 4));
}

std::int64_t counted_queries(const std::vector<PlannedText>& texts, std::int64_t from) {
  std::int64_t queries = 0;
  for (const PlannedText& text : texts) {
    for (const EvalWindow& window : text.plan.windows) {
      const std::int64_t end = static_cast<std::int64_t>(window.tokens.size()) - 1;
      queries += std::max<std::int64_t>(0, end - std::max(from, window.first_scored - 1));
    }
  }
  return queries;
}

void require_queries(const std::vector<PlannedText>& texts, std::int64_t from, int first) {
  if (first > from) {
    throw Error(ErrorKind::kUsage,
                fmt::format("--first {} leaves the query at position {} nothing but first tokens; "
                            "choose fewer, or a later --from",
                            first, from));
  }
  if (counted_queries(texts, from) > 0) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("no query of the text has {} positions behind it: contexts have up to {} "
                          "tokens; choose an earlier --from, a longer text or a larger -c",
                          from, longest_context(texts)));
}

void measure(const std::shared_ptr<const Model>& model, const SessionOptions& options,
             const std::vector<PlannedText>& texts, AttentionMass& mass) {
  std::int64_t total = 0;
  for (const PlannedText& text : texts) total += text.plan.run_tokens();
  std::int64_t before = 0;
  ProgressBar bar("attention");
  for (const PlannedText& text : texts) {
    measure_attention(model, options_for(text.plan, options), text.plan, mass,
                      [&](std::int64_t done, std::int64_t) { bar.update(before + done, total); });
    before += text.plan.run_tokens();
  }
}

double ratio(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }

void add_claim(Json& record, const MassProfile& p) {
  const double last = share_within(p, kLast);
  record["last_500"] = last;
  record["next_2000"] = share_within(p, kLast + kNext) - last;
  const double first = share_within_and_first(p, 0);
  const double last_behind = share_within_and_first(p, kLast) - first;
  const double next_behind = share_within_and_first(p, kLast + kNext) - first - last_behind;
  record["behind_first_last_500"] = ratio(last_behind, 1.0 - first);
  record["behind_first_next_2000"] = ratio(next_behind, 1.0 - first);
}

Json fit_record(const MassProfile& p) {
  const auto fit = fit_distance(p);
  if (!fit.has_value()) return {{"exponent", nullptr}, {"reason", "fewer than 3 bins with mass"}};
  return {{"exponent", fit->exponent},
          {"scale", fit->scale},
          {"rms_log", fit->rms_log},
          {"r_squared", fit->r_squared},
          {"bins", fit->points}};
}

/// Everything about one head, or about several together.
Json profile_record(const MassProfile& p, const AttentionArguments& attention) {
  Json record;
  for (const int n : {1, 4}) record[fmt::format("first_{}", n)] = share_of_first(p, n);
  record["first"] = share_within_and_first(p, 0);
  add_claim(record, p);
  record["windows"] = Json::array();
  for (const double percent : attention.hold) {
    record["windows"].push_back(
        {{"hold", percent},
         {"window", window_that_holds(p, percent / 100.0, false)},
         {"window_with_first", window_that_holds(p, percent / 100.0, true)}});
  }
  record["fit"] = fit_record(p);
  const MassProfile coarse = in_half_octaves(p);
  record["shares"] = Json::array();
  record["densities"] = Json::array();
  for (std::size_t b = 0; b < coarse.bins.size(); ++b) {
    record["shares"].push_back(ratio(coarse.behind[b], coarse.rows));
    record["densities"].push_back(number_or_null(coarse.behind[b] / coarse.pairs[b]));
  }
  return record;
}

Json bins_record(const MassProfile& p) {
  Json bins = Json::array();
  for (const DistanceBin& bin : in_half_octaves(p).bins) {
    bins.push_back({{"begin", bin.begin}, {"end", bin.end}});
  }
  return bins;
}

/// The model, its layers without a sliding window if others have one, all layers, all heads.
void add_profiles(Json& record, const ModelConfig& config, const AttentionMass& mass,
                  const AttentionArguments& attention) {
  std::optional<MassProfile> all;
  std::optional<MassProfile> global;
  const auto add = [](std::optional<MassProfile>& to, const MassProfile& from) {
    if (to.has_value()) {
      to->add(from);
    } else {
      to = from;
    }
  };
  Json layers = Json::array();
  int n_global = 0;
  for (int l = 0; l < config.n_layers; ++l) {
    const int sliding_window = config.layers[static_cast<std::size_t>(l)].sliding_window;
    const MassProfile profile = mass.layer(l);
    add(all, profile);
    if (sliding_window == 0) {
      add(global, profile);
      ++n_global;
    }
    Json layer{{"layer", l}, {"sliding_window", sliding_window}};
    layer.update(profile_record(profile, attention));
    for (int h = 0; h < config.n_heads; ++h) {
      Json head{{"head", h}};
      head.update(profile_record(mass.head(l, h), attention));
      layer["heads"].push_back(std::move(head));
    }
    layers.push_back(std::move(layer));
  }
  record["distances"] = bins_record(*all);
  record["model"] = profile_record(*all, attention);
  if (n_global > 0 && n_global < config.n_layers) {
    record["global_layers"] = {{"layers", n_global}};
    record["global_layers"].update(profile_record(*global, attention));
  }
  record["layers"] = std::move(layers);
}

/// "holds", "does not hold", or "not seen" if queries that count do not see that far.
const char* verdict_of(const Json& model, std::int64_t from) {
  if (from < kLast + kNext - 1) return "not seen";
  const auto near = [&](const char* name, double claimed) {
    return std::abs(model[name].get<double>() - claimed) <= kClaimTolerance;
  };
  return near("last_500", kLastClaimed) && near("next_2000", kNextClaimed) ? "holds"
                                                                           : "does not hold";
}

}  // namespace

void run_attention(const RunOptions& run, const PplOptions& ppl,
                   const AttentionArguments& attention) {
  SessionOptions options = session_options(run, MathMode::kExact);
  const auto model = Model::load(run.model, {.threads = options.threads});
  const std::vector<PlannedText> texts = plan_texts(*model, run, ppl, attention);
  const int context = longest_context(texts);
  const std::int64_t from = first_counted(attention, context);
  require_queries(texts, from, attention.first);
  AttentionMass mass(model->config(), context,
                     {.from = from, .first = attention.first, .windows = {kLast, kLast + kNext}});
  options.batch = std::min(options.batch, context);
  measure(model, options, texts, mass);
  Json record = machine_record(*model, options, run);
  record.update(spec_record(options.kv));
  record["texts"] = Json::array();
  for (const PlannedText& text : texts) {
    record["texts"].push_back(text_record(text.plan, text.text, text.path, text.tokens));
  }
  record["context"] = context;
  record["from"] = from;
  record["counted_queries"] = mass.queries();
  record["first_tokens"] = attention.first;
  add_profiles(record, model->config(), mass, attention);
  record["claim"] = verdict_of(record["model"], from);
  record["peak_rss_bytes"] = peak_rss_bytes();
  emit(run, run.json        ? to_text(record)
            : attention.csv ? attention_csv(record)
                            : attention_report(record, attention.heads));
}

}  // namespace quant::tool
