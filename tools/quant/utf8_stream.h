// Bytes of tokens, regrouped into whole UTF-8 characters.
#pragma once

#include <string>
#include <string_view>

namespace quant::tool {

/// Holds back the beginning of a character until its last byte has come. Bytes that cannot belong
/// to a character pass through unchanged.
class Utf8Stream {
 public:
  /// The characters that are complete now.
  std::string push(std::string_view bytes);
  /// What was held back, at the end of the text.
  std::string finish();

 private:
  std::string pending_;
};

}  // namespace quant::tool
