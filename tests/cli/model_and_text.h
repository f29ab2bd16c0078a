// What commands that measure are tested on: a tiny model and a text; and what their records hold.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/command.h"
#include "support/tiny_model.h"

namespace quant::test {

class ModelAndText : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& contents) const {
    write_file(dir.path() / name, contents);
    return (dir.path() / name).string();
  }
  /// Words n times, with numbers between, so that no two places are alike.
  std::string write_text(const std::string& name, const std::string& words, int n) const {
    std::string written;
    for (int i = 0; i < n; ++i) written += words + std::to_string(i * i);
    return write(name, written);
  }

  TempDir dir;
  std::string model = write_tiny_model(dir.path(), {});
  std::string text = write_text("text.txt", " the rain in spain ", 20);
};

/// Expects that none of these is missing or null.
inline void expect_complete(const nlohmann::json& record, const std::vector<const char*>& names) {
  for (const char* name : names) {
    EXPECT_TRUE(record.contains(name)) << name;
    EXPECT_FALSE(record.value(name, nlohmann::json()).is_null()) << name;
  }
}

/// Expects what every record of a perplexity has.
inline void expect_perplexity_record(const nlohmann::json& record) {
  expect_complete(record, {"perplexity",
                           "mean_nll",
                           "standard_error",
                           "standard_error_blocks",
                           "scored_tokens",
                           "context",
                           "protocol",
                           "batch",
                           "threads",
                           "isa",
                           "math",
                           "key_type",
                           "value_type",
                           "key_window",
                           "value_window",
                           "sink",
                           "key_bits",
                           "value_bits",
                           "kv_bytes",
                           "kv_bytes_formula",
                           "peak_rss_bytes",
                           "fp32_share_end",
                           "fp32_share_mean",
                           "value_fp32_share_end",
                           "value_fp32_share_mean",
                           "model_path",
                           "text_path",
                           "cpu",
                           "tokens_per_second",
                           "model_sha256",
                           "text_sha256",
                           "tokens_sha256",
                           "version",
                           "compiler",
                           "dropped_tokens",
                           "text_tokens"});
}

}  // namespace quant::test
