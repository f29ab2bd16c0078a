// A compiled regular expression (PCRE2) over UTF-8 with Unicode properties.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_context_8;
struct pcre2_real_match_data_8;

namespace quant {

/// Immutable; find may be called from several threads, each with its own Scratch.
class Regex {
 public:
  struct Match {
    std::size_t begin;
    std::size_t end;
  };
  class Scratch {
   public:
    Scratch();

   private:
    friend class Regex;
    struct Free {
      void operator()(pcre2_real_match_data_8* data) const noexcept;
    };
    std::unique_ptr<pcre2_real_match_data_8, Free> data_;
  };

  /// Throws std::invalid_argument for a pattern that PCRE2 does not take.
  explicit Regex(const std::string& pattern);

  /// The first match in subject, valid UTF-8, that is not empty and starts at `from` or later.
  /// Lookarounds see the whole subject and nothing beyond it.
  std::optional<Match> find(std::string_view subject, std::size_t from, Scratch& scratch) const;

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const noexcept;
    void operator()(pcre2_real_match_context_8* context) const noexcept;
  };
  std::unique_ptr<pcre2_real_code_8, Free> code_;
  std::unique_ptr<pcre2_real_match_context_8, Free> context_;
};

}  // namespace quant
