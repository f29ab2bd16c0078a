#include "report_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "report_table.h"
#include "xml.h"

namespace quant::tool {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kWidth = 760, kHeight = 440;
constexpr double kLeft = 72, kRight = 24, kTop = 64, kBottom = 56, kTitle = 28;
constexpr double kTextHeight = 14, kLetter = 6.3;  // at font size 12
constexpr double kTickSpace = 20;
/// What is beyond stands at the edge: an axis that showed it would show nothing else.
constexpr double kMostPercent = 1000.0;
constexpr const char* kPlain = "#4a4a4a";
constexpr std::array kColours = {"#0b6e4f", "#b3541e", "#2b5c9e", "#8a2d6b", "#7a6a00", "#00707a"};

struct Box {
  double left, top, right, bottom;
  bool meets(const Box& o) const {
    return left < o.right && o.left < right && top < o.bottom && o.top < bottom;
  }
};

/// Costs span two orders of magnitude: linear in the square root keeps 0 and shows small ones.
double root_scale(double percent) { return std::copysign(std::sqrt(std::abs(percent)), percent); }

struct Point {
  const Json* row;
  std::string name;  ///< short
  std::string colour;
  double bytes, percent, low, high;  ///< low = high without an interval
  double x = 0, y = 0;
};

std::string short_name(const Json& row) {
  std::string name = row["label"];
  for (const auto& [from, to] : {std::pair{" k-window ", " k"},
                                 {" v-window ", " v"},
                                 {" window ", " w"},
                                 {" sink ", " s"}}) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, std::string_view(from).size(), to);
  }
  return name;
}

double value_or(const Json& row, const char* name, double otherwise) {
  const auto at = row.find(name);
  return at == row.end() || at->is_null() ? otherwise : at->get<double>();
}

/// Few blocks may leave one side of an interval open, or both.
bool has_interval(const Json& row) {
  return row.contains("delta_percent") && row["delta_percent_low"].is_number() &&
         row["delta_percent_high"].is_number();
}

/// A colour for each type of keys; grey for those that are not compressed.
class Palette {
 public:
  std::string of(const std::string& type) {
    if (type == "fp32" || type == "fp16" || type == "bf16") return kPlain;
    const auto at = std::ranges::find(seen_, type);
    const auto index = static_cast<std::size_t>(at - seen_.begin());
    if (at == seen_.end()) seen_.push_back(type);
    return kColours[index % kColours.size()];
  }

 private:
  std::vector<std::string> seen_;
};

std::vector<Point> points_of(const Json& group) {
  std::vector<Point> points;
  Palette palette;
  for (const Json& row : group["rows"]) {
    const double infinite = row["perplexity"].is_null() ? kMostPercent : 0.0;
    const double percent = value_or(row, "delta_percent", infinite);
    const bool known = has_interval(row);
    points.push_back({.row = &row,
                      .name = short_name(row),
                      .colour = palette.of(row["key_type"]),
                      .bytes = row["kv_bytes"].get<double>(),
                      .percent = percent,
                      .low = known ? row["delta_percent_low"].get<double>() : percent,
                      .high = known ? row["delta_percent_high"].get<double>() : percent});
  }
  return points;
}

class Picture {
 public:
  Picture(const Json& group, bool titled)
      : titled_(titled), group_(group), points_(points_of(group)) {
    double low = 0.0, high = 1.0, most = 0.0;
    for (const Point& p : points_) {
      low = std::min({low, p.percent, p.low});
      high = std::max({high, p.percent, p.high});
      most = std::max(most, p.bytes);
    }
    const double span = root_scale(std::min(high, kMostPercent)) - root_scale(low);
    top_ = root_scale(std::min(high, kMostPercent)) + 0.06 * span;
    bottom_ = root_scale(low) - 0.06 * span;
    most_ = 1.08 * most;
    for (Point& p : points_) {
      p.x = x_at(p.bytes);
      p.y = y_at(p.percent);
    }
  }

  std::string draw() {
    draw_frame();
    draw_bytes_axis();
    draw_percent_axis();
    draw_front();
    for (const Point& p : points_) draw_interval(p);
    for (const Point& p : points_) draw_point(p);
    draw_names();
    return out_ + "</svg>\n";
  }

 private:
  double x_at(double bytes) const { return kLeft + bytes / most_ * (kWidth - kLeft - kRight); }
  double y_at(double percent) const {
    const double at = std::clamp(root_scale(percent), bottom_, top_);
    return kTop + (top_ - at) / (top_ - bottom_) * (kHeight - kTop - kBottom);
  }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    out_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  void draw_frame() {
    const double top = titled_ ? 0.0 : kTitle;
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 {} {} {}\" width=\"{}\" "
        "height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">",
        top, kWidth, kHeight - top, kWidth, kHeight - top);
    add("<rect width=\"{}\" height=\"{}\" fill=\"#ffffff\"/>", kWidth, kHeight);
    if (titled_) {
      add("<text x=\"{}\" y=\"24\" font-size=\"15\">{}</text>", kLeft,
          escape_xml(title_of(group_)));
    }
    add("<text x=\"{}\" y=\"44\" fill=\"#666666\">perplexity above {} in % (square-root scale), "
        "95 % interval; line: Pareto front</text>",
        kLeft, escape_xml(group_["baseline"].get<std::string>()));
  }

  void draw_bytes_axis() {
    const double most = most_ / kMiB;
    const double power = std::pow(10.0, std::floor(std::log10(most)));
    double step = power;
    for (const double part : {0.1, 0.2, 0.5, 1.0, 2.0}) {
      step = part * power;
      if (most / step <= 8.0) break;
    }
    for (double mib = 0.0; mib <= most; mib += step) {
      const double x = x_at(mib * kMiB);
      add("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#e4e4e4\"/>", x, kTop,
          kHeight - kBottom);
      add("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.3g}</text>", x,
          kHeight - kBottom + 18, mib);
    }
    add("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">KV cache, MiB allocated</text>",
        (kLeft + kWidth - kRight) / 2, kHeight - 12);
  }

  /// 1, 2 and 5 times powers of ten, as many as there is room for, from 0 outwards on both sides.
  void draw_percent_axis() {
    draw_percent(0.0);
    for (const double sign : {1.0, -1.0}) {
      double last = y_at(0.0);
      for (double power = 0.01; power <= kMostPercent; power *= 10.0) {
        for (const double part : {1.0, 2.0, 5.0}) {
          const double percent = sign * part * power;
          if (root_scale(percent) > top_ || root_scale(percent) < bottom_) continue;
          if (std::abs(y_at(percent) - last) < kTickSpace) continue;
          last = y_at(percent);
          draw_percent(percent);
        }
      }
    }
  }

  void draw_percent(double percent) {
    const double y = y_at(percent);
    add("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>", kLeft,
        kWidth - kRight, y, y, percent == 0.0 ? "#9a9a9a" : "#e4e4e4");
    add("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kLeft - 8, y + 4,
        percent == 0.0 ? "0" : fmt::format("{:+g}", percent));
  }

  void draw_front() {
    std::vector<const Point*> front;
    for (const Point& p : points_) {
      if ((*p.row)["pareto"].get<bool>()) front.push_back(&p);
    }
    std::ranges::sort(front, {}, [](const Point* p) { return p->x; });
    std::string path;
    for (std::size_t i = 0; i < front.size(); ++i) {
      if (i > 0) path += fmt::format("L{:.1f} {:.1f} ", front[i]->x, front[i - 1]->y);
      path += fmt::format("{}{:.1f} {:.1f} ", i == 0 ? 'M' : 'L', front[i]->x, front[i]->y);
    }
    add("<path d=\"{}\" fill=\"none\" stroke=\"#b9c4d6\" stroke-width=\"2\"/>", path);
  }

  void draw_interval(const Point& p) {
    if (p.low == p.high) return;
    add("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}M{3:.1f} {1:.1f}H{4:.1f}M{3:.1f} {2:.1f}H{4:.1f}\" "
        "stroke=\"{5}\" fill=\"none\"/>",
        p.x, y_at(p.low), y_at(p.high), p.x - 3.5, p.x + 3.5, p.colour);
  }

  void draw_point(const Point& p) {
    const bool front = (*p.row)["pareto"].get<bool>();
    add("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\" stroke=\"{}\" "
        "stroke-width=\"1.5\"><title>{}</title></circle>",
        p.x, p.y, front ? 5 : 4, front ? p.colour : "#ffffff", p.colour,
        escape_xml(hover_of(*p.row)));
  }

  static std::string hover_of(const Json& row) {
    std::string text = row["label"].get<std::string>();
    if (row["perplexity"].is_null()) return text + "\nperplexity too large for a number";
    text += fmt::format("\nPPL {:.4f}", row["perplexity"].get<double>());
    if (row.contains("delta_percent")) {
      text += fmt::format(", {:+.2f} %", value_or(row, "delta_percent", std::nan("")));
      if (has_interval(row)) {
        text += fmt::format(" (95 %: {:+.2f} to {:+.2f})", row["delta_percent_low"].get<double>(),
                            row["delta_percent_high"].get<double>());
      }
      text += ", " + row["verdict"].get<std::string>();
    }
    return text +
           fmt::format("\n{:.2f} MiB, keys {:.4g} bits, values {:.4g} bits\nFP32 keys {:.1f} %",
                       row["kv_bytes"].get<double>() / kMiB, row["key_bits"].get<double>(),
                       row["value_bits"].get<double>(),
                       100.0 * row["fp32_share_mean"].get<double>());
  }

  /// Names stand where they meet nothing, those of the front first; what finds no room keeps its
  /// name to its <title>.
  void draw_names() {
    std::vector<Box> taken;
    for (const Point& p : points_) {
      taken.push_back({p.x - 5, p.y - 5, p.x + 5, p.y + 5});
      taken.push_back({p.x - 4, y_at(p.high), p.x + 4, y_at(p.low)});
    }
    for (const bool front : {true, false}) {
      for (const Point& p : points_) {
        if ((*p.row)["pareto"].get<bool>() == front) draw_name(p, taken);
      }
    }
  }

  void draw_name(const Point& p, std::vector<Box>& taken) {
    const std::string text = name_of(p);
    const double width = kLetter * static_cast<double>(text.size());
    for (const double shift : {0.0, -15.0, 15.0, -29.0, 29.0, -43.0, 43.0}) {
      for (const bool right : {true, false}) {
        const double left = right ? p.x + 9 : p.x - 9 - width;
        const double middle = p.y + shift;
        const Box box{left, middle - kTextHeight / 2, left + width, middle + kTextHeight / 2};
        if (box.left < kLeft + 2 || box.right > kWidth - 2 || box.top < kTop - 8 ||
            box.bottom > kHeight - kBottom) {
          continue;
        }
        if (std::ranges::any_of(taken, [&](const Box& b) { return b.meets(box); })) continue;
        taken.push_back(box);
        add("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\" stroke=\"#ffffff\" "
            "stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
            right ? p.x + 9 : p.x - 9, middle + 4, right ? "start" : "end", p.colour,
            escape_xml(text));
        return;
      }
    }
  }

  static std::string name_of(const Point& p) {
    if ((*p.row)["perplexity"].is_null() || p.percent > kMostPercent) return p.name + " (beyond)";
    if (!p.row->contains("delta_percent")) return p.name;
    return p.name + fmt::format(" {:+.{}f} %", p.percent, std::abs(p.percent) < 10.0 ? 2 : 1);
  }

  bool titled_;
  const Json& group_;
  std::vector<Point> points_;
  double top_, bottom_;  ///< of the root scale
  double most_;          ///< bytes at the right edge
  std::string out_;
};

}  // namespace

std::string pareto_picture(const Json& group, bool titled) { return Picture(group, titled).draw(); }

std::string pictures_of(const Json& data) {
  const std::size_t n = data["groups"].size();
  if (n == 1) return pareto_picture(data["groups"][0], true);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\">\n",
      kWidth, kHeight * static_cast<double>(n));
  for (std::size_t i = 0; i < n; ++i) {
    out += fmt::format("<g transform=\"translate(0 {})\">\n{}</g>\n",
                       kHeight * static_cast<double>(i), pareto_picture(data["groups"][i], true));
  }
  return out + "</svg>\n";
}

}  // namespace quant::tool
