#include "svg.h"

#include "xml.h"

namespace quant::tool {
namespace {

constexpr const char* name_of(Anchor anchor) {
  switch (anchor) {
    case Anchor::kMiddle:
      return "middle";
    case Anchor::kEnd:
      return "end";
    default:
      return "start";
  }
}

}  // namespace

Svg::Svg(double width, double height, double top) {
  add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 {} {} {}\" width=\"{}\" "
      "height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">",
      top, width, height - top, width, height - top);
  add("<rect width=\"{}\" height=\"{}\" fill=\"#ffffff\"/>", width, height);
}

void Svg::horizontal(double x1, double x2, double y, std::string_view stroke) {
  add("<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>", x1, x2, y, y,
      stroke);
}

void Svg::vertical(double x, double y1, double y2, std::string_view stroke) {
  add("<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>", x, x, y1, y2,
      stroke);
}

void Svg::text(double x, double y, Anchor anchor, std::string_view text, std::string_view more) {
  add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}{}>{}</text>", x, y, name_of(anchor),
      more.empty() ? "" : " ", more, escape_xml(std::string(text)));
}

void Svg::path(std::string_view path, std::string_view stroke, double width) {
  add("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:g}\"/>", path, stroke, width);
}

std::string Svg::finish() && { return std::move(out_) + "</svg>\n"; }

std::string stack_pictures(const std::vector<std::string>& pictures, double width, double height) {
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\">\n",
      width, height * static_cast<double>(pictures.size()));
  double top = 0.0;
  for (const std::string& picture : pictures) {
    out += fmt::format("<g transform=\"translate(0 {})\">\n{}</g>\n", top, picture);
    top += height;
  }
  return out + "</svg>\n";
}

}  // namespace quant::tool
