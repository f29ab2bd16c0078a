// Drawing in SVG: what all pictures are made of.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quant::tool {

/// Where a text stands at its x.
enum class Anchor { kStart, kMiddle, kEnd };

/// A picture in sans-serif of size 12 on white. Coordinates are pixels from the left and the top.
class Svg {
 public:
  /// A picture that begins at `top`, for those that leave out what is above.
  Svg(double width, double height, double top = 0.0);

  /// Any element, a line of it.
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    out_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  void horizontal(double x1, double x2, double y, std::string_view stroke);
  void vertical(double x, double y1, double y2, std::string_view stroke);
  /// Escapes the text; `more` are further attributes.
  void text(double x, double y, Anchor anchor, std::string_view text, std::string_view more = "");
  /// An outline in the path language of SVG.
  void path(std::string_view path, std::string_view stroke, double width = 1.0);

  std::string finish() &&;

 private:
  std::string out_;
};

/// Several pictures of one size below each other, as one.
std::string stack_pictures(const std::vector<std::string>& pictures, double width, double height);

}  // namespace quant::tool
