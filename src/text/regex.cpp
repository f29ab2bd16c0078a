#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <cstdint>
#include <new>
#include <stdexcept>

namespace quant {

Regex::Scratch::Scratch() : data_(pcre2_match_data_create(1, nullptr)) {
  if (!data_) throw std::bad_alloc();
}

void Regex::Scratch::Free::operator()(pcre2_match_data* data) const noexcept {
  pcre2_match_data_free(data);
}

void Regex::Free::operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }

void Regex::Free::operator()(pcre2_match_context* context) const noexcept {
  pcre2_match_context_free(context);
}

Regex::Regex(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE at = 0;
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NO_AUTO_CAPTURE, &error, &at, nullptr));
  if (!code_) {
    throw std::invalid_argument(fmt::format("PCRE2 error {} at {} of {}", error, at, pattern));
  }
  // Where the system forbids executable memory this fails, and pcre2_match interprets instead.
  pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
  context_.reset(pcre2_match_context_create(nullptr));
  if (!context_) throw std::bad_alloc();
  // The limits guard against patterns that backtrack without end; ours take linear time, and a
  // long text must not run into a limit.
  pcre2_set_match_limit(context_.get(), UINT32_MAX);
  pcre2_set_depth_limit(context_.get(), UINT32_MAX);
}

std::optional<Regex::Match> Regex::find(std::string_view subject, std::size_t from,
                                        Scratch& scratch) const {
  // Checking UTF-8 at each call would make a scan quadratic.
  const int result =
      pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), from,
                  PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, scratch.data_.get(), context_.get());
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (result == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
  if (result < 0) throw std::runtime_error(fmt::format("PCRE2 match error {}", result));
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch.data_.get());
  return Match{ends[0], ends[1]};
}

}  // namespace quant
