// Heat maps of retrieval: lengths to the right, depths downwards.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "needle_report.h"
#include "xml.h"

namespace quant::tool {
namespace {

constexpr double kCellWidth = 78, kCellHeight = 40;
constexpr double kAxis = 58, kPanelTop = 44, kPanelBottom = 44, kGap = 24, kMargin = 20;
constexpr double kHead = 64, kScaleHeight = 46, kScaleWidth = 220;
constexpr double kLetter = 7.3;  // bold, at font size 12
constexpr double kLeastWidth = 560;
constexpr std::size_t kPanelsInARow = 3;
constexpr const char* kGrey = "#666666";

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

  std::string draw() {
    const std::size_t columns = std::min(rows_.size(), kPanelsInARow);
    const std::size_t lines = (rows_.size() + columns - 1) / columns;
    const double width =
        std::max(kLeastWidth, 2 * kMargin + panel_width_ * static_cast<double>(columns));
    const double scale_top = kHead + panel_height_ * static_cast<double>(lines);
    const double height = scale_top + kScaleHeight + kMargin;
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" font-family=\"sans-serif\" font-size=\"12\">",
        width, height);
    add("<rect width=\"{}\" height=\"{}\" fill=\"#ffffff\"/>", width, height);
    draw_head();
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      draw_panel(*rows_[i], kMargin + panel_width_ * static_cast<double>(i % columns),
                 kHead + panel_height_ * static_cast<double>(i / columns));
    }
    draw_scale(kMargin, scale_top);
    return out_ + "</svg>\n";
  }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    out_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  static std::string name_of(const Json& row) { return row["configuration"].get<std::string>(); }

  std::string file_name(const char* name) const {
    return escape_xml(std::filesystem::path(record_[name].get<std::string>()).filename().string());
  }

  void draw_head() {
    add("<text x=\"{}\" y=\"26\" font-size=\"15\">{}: keys hidden in {}</text>", kMargin,
        file_name("model_path"), file_name("text_path"));
    add("<text x=\"{}\" y=\"46\" fill=\"{}\">each cell: exact matches of {} trials, mean "
        "log-probability of the answer below ({} form, seed {})</text>",
        kMargin, kGrey, record_["trials"].get<int>(), record_["form"].get<std::string>(),
        record_["seed"].get<std::uint64_t>());
  }

  void draw_panel(const Json& row, double left, double top) {
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" font-weight=\"bold\">{}</text>", left, top + 18,
        escape_xml(name_of(row)));
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\">{} of {} exact</text>", left, top + 34, kGrey,
        row["exact_matches"].get<std::int64_t>(), row["trials"].get<std::int64_t>());
    const double first = left + kAxis;
    const double cells_top = top + kPanelTop;
    const Json& lengths = record_["lengths"];
    const Json& depths = record_["depths"];
    for (std::size_t d = 0; d < depths.size(); ++d) {
      const double y = cells_top + kCellHeight * static_cast<double>(d);
      add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:g} %</text>", first - 6,
          y + kCellHeight / 2 + 4, depths[d].get<double>());
      for (std::size_t l = 0; l < lengths.size(); ++l) {
        draw_cell(name_of(row), row["cells"][l * depths.size() + d],
                  first + kCellWidth * static_cast<double>(l), y);
      }
    }
    const double bottom = cells_top + kCellHeight * static_cast<double>(depths.size());
    for (std::size_t l = 0; l < lengths.size(); ++l) {
      add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
          first + kCellWidth * (static_cast<double>(l) + 0.5), bottom + 15, lengths[l].get<int>());
    }
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" fill=\"{}\">length, tokens</text>",
        first + kCellWidth * static_cast<double>(lengths.size()) / 2, bottom + 30, kGrey);
    const double middle = (cells_top + bottom) / 2;
    add("<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" text-anchor=\"middle\" "
        "fill=\"{}\">depth</text>",
        left + 9, middle, kGrey);
  }

  void draw_cell(const std::string& name, const Json& cell, double x, double y) {
    const std::int64_t exact = cell["exact_matches"].get<std::int64_t>();
    const std::int64_t trials = cell["trials"].get<std::int64_t>();
    const Colour colour = colour_of(static_cast<double>(exact) / static_cast<double>(trials));
    const std::string log_probability = log_probability_text(cell["log_probability"]);
    add("<g fill=\"{}\" text-anchor=\"middle\"><title>{}\n{} tokens, depth {:g} %\n{} of {} exact, "
        "mean log-probability {}</title>",
        ink_on(colour), escape_xml(name), cell["length"].get<int>(), cell["depth"].get<double>(),
        exact, trials, log_probability);
    add("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" fill=\"{}\" "
        "stroke=\"#ffffff\"/>",
        x, y, kCellWidth, kCellHeight, hex(colour));
    add("<text x=\"{:.1f}\" y=\"{:.1f}\">{}/{}</text>", x + kCellWidth / 2, y + 17, exact, trials);
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"10\">{}</text></g>", x + kCellWidth / 2,
        y + 31, log_probability);
  }

  void draw_scale(double left, double top) {
    add("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\">share of exact matches</text>", left, top + 10,
        kGrey);
    add("<defs><linearGradient id=\"scale\">");
    for (std::size_t i = 0; i < kCividis.size(); ++i) {
      add("<stop offset=\"{}%\" stop-color=\"{}\"/>", 100 * i / (kCividis.size() - 1),
          hex(kCividis[i]));
    }
    add("</linearGradient></defs>");
    add("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"10\" fill=\"url(#scale)\"/>", left,
        top + 16, kScaleWidth);
    for (const int percent : {0, 50, 100}) {
      add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{} %</text>",
          left + kScaleWidth * percent / 100.0, top + 40,
          percent == 0    ? "start"
          : percent == 50 ? "middle"
                          : "end",
          percent);
    }
  }

  const Json& record_;
  std::vector<const Json*> rows_;
  double panel_width_ = 0.0, panel_height_ = 0.0;
  std::string out_;
};

}  // namespace

std::string needle_picture(const Json& record) { return Picture(record).draw(); }

}  // namespace quant::tool
