#include "report_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report_points.h"
#include "report_table.h"
#include "svg.h"
#include "xml.h"

namespace quant::tool {
namespace {

constexpr double kWidth = 760, kHeight = 440;
constexpr double kLeft = 72, kRight = 24, kTop = 64, kBottom = 56, kTitle = 28;
constexpr double kTextHeight = 14, kLetter = 6.3;  // at font size 12
constexpr double kTickSpace = 20;
constexpr const char* kGrid = "#e4e4e4";

struct Box {
  double left, top, right, bottom;
  bool meets(const Box& o) const {
    return left < o.right && o.left < right && top < o.bottom && o.top < bottom;
  }
};

/// Costs span two orders of magnitude: linear in the square root keeps 0 and shows small ones.
double root_scale(double percent) { return std::copysign(std::sqrt(std::abs(percent)), percent); }

class Picture {
 public:
  Picture(const Json& group, bool titled)
      : titled_(titled),
        group_(group),
        points_(points_of(group)),
        svg_(kWidth, kHeight, titled ? 0.0 : kTitle) {
    double low = 0.0, high = 1.0, most = 0.0;
    for (const ReportPoint& p : points_) {
      low = std::min({low, p.percent, p.low});
      high = std::max({high, p.percent, p.high});
      most = std::max(most, p.bytes);
    }
    const double span = root_scale(std::min(high, kMostPercent)) - root_scale(low);
    top_ = root_scale(std::min(high, kMostPercent)) + 0.06 * span;
    bottom_ = root_scale(low) - 0.06 * span;
    most_ = 1.08 * most;
  }

  std::string draw() && {
    draw_headings();
    draw_bytes_axis();
    draw_percent_axis();
    draw_front();
    for (const ReportPoint& p : points_) draw_interval(p);
    for (const ReportPoint& p : points_) draw_point(p);
    draw_names();
    return std::move(svg_).finish();
  }

 private:
  double x_at(double bytes) const { return kLeft + bytes / most_ * (kWidth - kLeft - kRight); }
  double y_at(double percent) const {
    const double at = std::clamp(root_scale(percent), bottom_, top_);
    return kTop + (top_ - at) / (top_ - bottom_) * (kHeight - kTop - kBottom);
  }
  double x_of(const ReportPoint& p) const { return x_at(p.bytes); }
  double y_of(const ReportPoint& p) const { return y_at(p.percent); }

  void draw_headings() {
    if (titled_) svg_.text(kLeft, 24, Anchor::kStart, title_of(group_), "font-size=\"15\"");
    svg_.text(kLeft, 44, Anchor::kStart,
              fmt::format("perplexity above {} in % (square-root scale), 95 % interval; "
                          "line: Pareto front",
                          group_["baseline"].get<std::string>()),
              "fill=\"#666666\"");
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
      svg_.vertical(x, kTop, kHeight - kBottom, kGrid);
      svg_.text(x, kHeight - kBottom + 18, Anchor::kMiddle, fmt::format("{:.3g}", mib));
    }
    svg_.text((kLeft + kWidth - kRight) / 2, kHeight - 12, Anchor::kMiddle,
              "KV cache, MiB allocated");
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
    svg_.horizontal(kLeft, kWidth - kRight, y, percent == 0.0 ? "#9a9a9a" : kGrid);
    svg_.text(kLeft - 8, y + 4, Anchor::kEnd, percent == 0.0 ? "0" : fmt::format("{:+g}", percent));
  }

  void draw_front() {
    std::vector<const ReportPoint*> front;
    for (const ReportPoint& p : points_) {
      if (p.front) front.push_back(&p);
    }
    std::ranges::sort(front, {}, [](const ReportPoint* p) { return p->bytes; });
    std::string path;
    for (std::size_t i = 0; i < front.size(); ++i) {
      const double x = x_of(*front[i]);
      if (i > 0) path += fmt::format("L{:.1f} {:.1f} ", x, y_of(*front[i - 1]));
      path += fmt::format("{}{:.1f} {:.1f} ", i == 0 ? 'M' : 'L', x, y_of(*front[i]));
    }
    svg_.path(path, "#b9c4d6", 2);
  }

  void draw_interval(const ReportPoint& p) {
    if (p.low == p.high) return;
    const double x = x_of(p);
    svg_.path(
        fmt::format("M{0:.1f} {1:.1f}V{2:.1f}M{3:.1f} {1:.1f}H{4:.1f}M{3:.1f} {2:.1f}H{4:.1f}", x,
                    y_at(p.low), y_at(p.high), x - 3.5, x + 3.5),
        p.colour);
  }

  void draw_point(const ReportPoint& p) {
    svg_.add(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\" stroke=\"{}\" "
        "stroke-width=\"1.5\"><title>{}</title></circle>",
        x_of(p), y_of(p), p.front ? 5 : 4, p.front ? p.colour : "#ffffff", p.colour,
        escape_xml(p.detail));
  }

  /// Names stand where they meet nothing, those of the front first; what finds no room keeps its
  /// name to its <title>.
  void draw_names() {
    std::vector<Box> taken;
    for (const ReportPoint& p : points_) {
      const double x = x_of(p), y = y_of(p);
      taken.push_back({x - 5, y - 5, x + 5, y + 5});
      taken.push_back({x - 4, y_at(p.high), x + 4, y_at(p.low)});
    }
    for (const bool front : {true, false}) {
      for (const ReportPoint& p : points_) {
        if (p.front == front) draw_name(p, taken);
      }
    }
  }

  void draw_name(const ReportPoint& p, std::vector<Box>& taken) {
    const double width = kLetter * static_cast<double>(p.name.size());
    for (const double shift : {0.0, -15.0, 15.0, -29.0, 29.0, -43.0, 43.0}) {
      for (const bool right : {true, false}) {
        const double left = right ? x_of(p) + 9 : x_of(p) - 9 - width;
        const double middle = y_of(p) + shift;
        const Box box{left, middle - kTextHeight / 2, left + width, middle + kTextHeight / 2};
        if (box.left < kLeft + 2 || box.right > kWidth - 2 || box.top < kTop - 8 ||
            box.bottom > kHeight - kBottom) {
          continue;
        }
        if (std::ranges::any_of(taken, [&](const Box& b) { return b.meets(box); })) continue;
        taken.push_back(box);
        svg_.text(right ? left : left + width, middle + 4, right ? Anchor::kStart : Anchor::kEnd,
                  p.name,
                  fmt::format("fill=\"{}\" stroke=\"#ffffff\" stroke-width=\"3\" "
                              "paint-order=\"stroke\"",
                              p.colour));
        return;
      }
    }
  }

  bool titled_;
  const Json& group_;
  std::vector<ReportPoint> points_;
  Svg svg_;
  double top_, bottom_;  ///< of the root scale
  double most_;          ///< bytes at the right edge
};

}  // namespace

std::string pareto_picture(const Json& group, bool titled) { return Picture(group, titled).draw(); }

std::string pictures_of(const Json& data) {
  std::vector<std::string> pictures;
  for (const Json& group : data["groups"]) pictures.push_back(pareto_picture(group, true));
  return pictures.size() == 1 ? pictures[0] : stack_pictures(pictures, kWidth, kHeight);
}

}  // namespace quant::tool
