// Heat maps of retrieval: lengths to the right, depths downwards.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "needle_report.h"
#include "svg.h"
#include "xml.h"

namespace quant::tool {
namespace {

constexpr double kCellWidth = 78, kCellHeight = 40;
constexpr double kAxis = 58, kPanelTop = 44, kPanelBottom = 44, kGap = 24, kMargin = 20;
constexpr double kHead = 64, kScaleHeight = 46, kScaleWidth = 220;
constexpr double kLetter = 7.3;  // bold, at font size 12
constexpr double kLeastWidth = 560;
constexpr std::size_t kPanelsInARow = 3;
constexpr const char* kGrey = "fill=\"#666666\"";

struct Colour {
  double red, green, blue;
};

/// Cividis, which is the same to eyes with and without red-green blindness and ascends in lightness
/// (Nuñez, Anderton and Renslow, PLOS ONE 2018), at tenths.
constexpr std::array<Colour, 11> kCividis = {{{0, 34, 78},
                                              {18, 53, 112},
                                              {59, 73, 108},
                                              {79, 91, 109},
                                              {102, 105, 112},
                                              {125, 124, 120},
                                              {145, 140, 120},
                                              {168, 157, 115},
                                              {196, 179, 104},
                                              {225, 204, 85},
                                              {254, 232, 56}}};

Colour colour_of(double share) {
  const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(kCividis.size() - 1);
  const std::size_t below = std::min(static_cast<std::size_t>(at), kCividis.size() - 2);
  const double part = at - static_cast<double>(below);
  const Colour& a = kCividis[below];
  const Colour& b = kCividis[below + 1];
  return {std::lerp(a.red, b.red, part), std::lerp(a.green, b.green, part),
          std::lerp(a.blue, b.blue, part)};
}

std::string hex(const Colour& c) {
  return fmt::format("#{:02x}{:02x}{:02x}", std::lround(c.red), std::lround(c.green),
                     std::lround(c.blue));
}

/// Black or white, whatever is easier to read on the colour.
const char* ink_on(const Colour& c) {
  return 0.299 * c.red + 0.587 * c.green + 0.114 * c.blue > 120.0 ? "#000000" : "#ffffff";
}

std::string log_probability_text(const Json& value) {
  return value.is_number() ? fmt::format("{:.2f}", value.get<double>()) : "-";
}

class Picture {
 public:
  explicit Picture(const Json& record) : record_(record) {
    rows_.push_back(&record["baseline"]);
    for (const Json& row : record["rows"]) rows_.push_back(&row);
    const double cells = kAxis + kCellWidth * static_cast<double>(record["lengths"].size());
    double title = 0.0;
    for (const Json* row : rows_) {
      title = std::max(title, kLetter * static_cast<double>(name_of(*row).size()));
    }
    panel_width_ = std::max(cells, title) + kGap;
    panel_height_ =
        kPanelTop + kCellHeight * static_cast<double>(record["depths"].size()) + kPanelBottom;
  }

  std::string draw() const {
    const std::size_t columns = std::min(rows_.size(), kPanelsInARow);
    const std::size_t lines = (rows_.size() + columns - 1) / columns;
    const double width =
        std::max(kLeastWidth, 2 * kMargin + panel_width_ * static_cast<double>(columns));
    const double scale_top = kHead + panel_height_ * static_cast<double>(lines);
    Svg svg(width, scale_top + kScaleHeight + kMargin);
    draw_head(svg);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      draw_panel(svg, *rows_[i], kMargin + panel_width_ * static_cast<double>(i % columns),
                 kHead + panel_height_ * static_cast<double>(i / columns));
    }
    draw_scale(svg, kMargin, scale_top);
    return std::move(svg).finish();
  }

 private:
  static std::string name_of(const Json& row) { return row["configuration"].get<std::string>(); }

  std::string file_name(const char* name) const {
    return std::filesystem::path(record_[name].get<std::string>()).filename().string();
  }

  void draw_head(Svg& svg) const {
    svg.text(kMargin, 26, Anchor::kStart,
             fmt::format("{}: keys hidden in {}", file_name("model_path"), file_name("text_path")),
             "font-size=\"15\"");
    svg.text(
        kMargin, 46, Anchor::kStart,
        fmt::format("each cell: exact matches of {} trials, mean log-probability of the answer "
                    "below ({} form, seed {})",
                    record_["trials"].get<int>(), record_["form"].get<std::string>(),
                    record_["seed"].get<std::uint64_t>()),
        kGrey);
  }

  void draw_panel(Svg& svg, const Json& row, double left, double top) const {
    svg.text(left, top + 18, Anchor::kStart, name_of(row), "font-weight=\"bold\"");
    svg.text(left, top + 34, Anchor::kStart,
             fmt::format("{} of {} exact", row["exact_matches"].get<std::int64_t>(),
                         row["trials"].get<std::int64_t>()),
             kGrey);
    const double first = left + kAxis;
    const double cells_top = top + kPanelTop;
    const Json& lengths = record_["lengths"];
    const Json& depths = record_["depths"];
    for (std::size_t d = 0; d < depths.size(); ++d) {
      const double y = cells_top + kCellHeight * static_cast<double>(d);
      svg.text(first - 6, y + kCellHeight / 2 + 4, Anchor::kEnd,
               fmt::format("{:g} %", depths[d].get<double>()));
      for (std::size_t l = 0; l < lengths.size(); ++l) {
        draw_cell(svg, name_of(row), row["cells"][l * depths.size() + d],
                  first + kCellWidth * static_cast<double>(l), y);
      }
    }
    const double bottom = cells_top + kCellHeight * static_cast<double>(depths.size());
    for (std::size_t l = 0; l < lengths.size(); ++l) {
      svg.text(first + kCellWidth * (static_cast<double>(l) + 0.5), bottom + 15, Anchor::kMiddle,
               std::to_string(lengths[l].get<int>()));
    }
    svg.text(first + kCellWidth * static_cast<double>(lengths.size()) / 2, bottom + 30,
             Anchor::kMiddle, "length, tokens", kGrey);
    const double middle = (cells_top + bottom) / 2;
    svg.add(
        "<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" text-anchor=\"middle\" "
        "{}>depth</text>",
        left + 9, middle, kGrey);
  }

  static void draw_cell(Svg& svg, const std::string& name, const Json& cell, double x, double y) {
    const std::int64_t exact = cell["exact_matches"].get<std::int64_t>();
    const std::int64_t trials = cell["trials"].get<std::int64_t>();
    const Colour colour = colour_of(static_cast<double>(exact) / static_cast<double>(trials));
    const std::string log_probability = log_probability_text(cell["log_probability"]);
    svg.add(
        "<g fill=\"{}\"><title>{}\n{} tokens, depth {:g} %\n{} of {} exact, mean "
        "log-probability {}</title>",
        ink_on(colour), escape_xml(name), cell["length"].get<int>(), cell["depth"].get<double>(),
        exact, trials, log_probability);
    svg.add(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" fill=\"{}\" "
        "stroke=\"#ffffff\"/>",
        x, y, kCellWidth, kCellHeight, hex(colour));
    const double middle = x + kCellWidth / 2;
    svg.text(middle, y + 17, Anchor::kMiddle, fmt::format("{}/{}", exact, trials));
    svg.text(middle, y + 31, Anchor::kMiddle, log_probability, "font-size=\"10\"");
    svg.add("</g>");
  }

  static void draw_scale(Svg& svg, double left, double top) {
    svg.text(left, top + 10, Anchor::kStart, "share of exact matches", kGrey);
    svg.add("<defs><linearGradient id=\"scale\">");
    for (std::size_t i = 0; i < kCividis.size(); ++i) {
      svg.add("<stop offset=\"{}%\" stop-color=\"{}\"/>", 100 * i / (kCividis.size() - 1),
              hex(kCividis[i]));
    }
    svg.add("</linearGradient></defs>");
    svg.add("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"10\" fill=\"url(#scale)\"/>",
            left, top + 16, kScaleWidth);
    svg.text(left, top + 40, Anchor::kStart, "0 %");
    svg.text(left + kScaleWidth / 2, top + 40, Anchor::kMiddle, "50 %");
    svg.text(left + kScaleWidth, top + 40, Anchor::kEnd, "100 %");
  }

  const Json& record_;
  std::vector<const Json*> rows_;
  double panel_width_ = 0.0, panel_height_ = 0.0;
};

}  // namespace

std::string needle_picture(const Json& record) { return Picture(record).draw(); }

}  // namespace quant::tool
