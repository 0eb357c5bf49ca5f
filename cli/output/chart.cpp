// SPDX-License-Identifier: Apache-2.0
#include "cli/output/chart.h"

#include <algorithm>
#include <cstdio>

#include "common/base/encoding.h"

namespace assay::cli {
namespace {

constexpr std::size_t kMaxBars = 40;
constexpr std::uint64_t kBarColumns = 50;
constexpr std::size_t kDayDigits = 10;  // of RFC 3339

std::string day(WallTime time) {
  return to_rfc3339(time, 0).substr(0, kDayDigits);
}

struct Bar {
  const ChartSeries* series = nullptr;
  ChartPoint point;
};

std::uint64_t highest(const std::vector<ChartSeries>& series) {
  std::uint64_t most = 1;
  for (const ChartSeries& one : series)
    for (const ChartPoint& point : one.points)
      most = std::max(most, point.counts.total());
  return most;
}

/// Each severity ends where all up to it end, rounded, so that the whole has the right length.
std::string bar_of(const catalog::SeverityCounts& counts, std::uint64_t most) {
  std::string bar;
  std::uint64_t sum = 0;
  std::uint64_t drawn = 0;
  const std::pair<std::uint64_t, const char*> parts[] = {{counts.critical, "█"},
                                                         {counts.high, "▓"},
                                                         {counts.medium, "▒"},
                                                         {counts.low, "░"},
                                                         {counts.unknown, "·"}};
  for (const auto& [count, mark] : parts) {
    sum += count;
    for (const std::uint64_t end = (sum * kBarColumns + most - 1) / most; drawn < end; ++drawn)
      bar += mark;
  }
  return bar;
}

// SVG

constexpr double kWidth = 720, kHeight = 400;
constexpr double kLeft = 60, kRight = 20, kTop = 70, kBottom = 40;

std::string escape_xml(const std::string& text) {
  std::string out;
  for (const char c : escape_untrusted(text, 256)) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f", value);
  return text;
}

std::string label(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\">" +
         escape_xml(text) + "</text>\n";
}

std::string stroke(double x1, double y1, double x2, double y2, const char* style) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
         "\" y2=\"" + number(y2) + "\" " + style + "/>\n";
}

/// Where times and counts lie on the picture.
class Scale {
 public:
  explicit Scale(const std::vector<ChartSeries>& series) : most_(highest(series)) {
    bool is_first = true;
    for (const ChartSeries& one : series)
      for (const ChartPoint& point : one.points) {
        first_ = is_first ? point.time : std::min(first_, point.time);
        last_ = is_first ? point.time : std::max(last_, point.time);
        is_first = false;
      }
  }
  double x(WallTime time) const {
    const auto whole = static_cast<double>((last_ - first_).count());
    if (whole <= 0) return kLeft;
    return kLeft + static_cast<double>((time - first_).count()) / whole * (kWidth - kLeft - kRight);
  }
  double y(std::uint64_t count) const {
    return kHeight - kBottom -
           static_cast<double>(count) / static_cast<double>(most_) * (kHeight - kTop - kBottom);
  }
  std::uint64_t most() const { return most_; }
  WallTime first() const { return first_; }
  WallTime last() const { return last_; }

 private:
  std::uint64_t most_;
  WallTime first_{}, last_{};
};

std::string axes(const Scale& scale) {
  std::string out;
  for (const std::uint64_t part : {0U, 1U, 2U}) {
    const std::uint64_t count = scale.most() * part / 2;
    out += stroke(kLeft, scale.y(count), kWidth - kRight, scale.y(count), "stroke=\"#ddd\"");
    out += label(kLeft - 8, scale.y(count) + 4, "end", std::to_string(count));
  }
  out += label(kLeft, kHeight - kBottom + 20, "start", day(scale.first()));
  if (scale.last() > scale.first())
    out += label(kWidth - kRight, kHeight - kBottom + 20, "end", day(scale.last()));
  return out;
}

std::string curve(const ChartSeries& series, const Scale& scale, bool is_severe, bool is_dashed) {
  const std::string colour = is_severe ? "#c0392b" : "#2c3e50";
  std::string points;
  std::string dots;
  for (const ChartPoint& point : series.points) {
    const std::uint64_t count =
        is_severe ? point.counts.high + point.counts.critical : point.counts.total();
    const std::string x = number(scale.x(point.time)), y = number(scale.y(count));
    points += (points.empty() ? "" : " ") + x + "," + y;
    dots += "<circle cx=\"" + x + "\" cy=\"" + y + "\" r=\"3\" fill=\"" + colour + "\"/>\n";
  }
  return "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"" + colour + "\"" +
         (is_dashed ? " stroke-dasharray=\"6 4\"" : "") + " points=\"" + points + "\"/>\n" + dots;
}

}  // namespace

std::string draw_bars(const std::vector<ChartSeries>& series) {
  std::vector<Bar> bars;
  std::size_t widest = 0;
  for (const ChartSeries& one : series) {
    widest = std::max(widest, one.name.size());
    for (const ChartPoint& point : one.points)
      bars.push_back({&one, point});
  }
  std::ranges::stable_sort(bars, {}, [](const Bar& bar) { return bar.point.time; });
  if (bars.size() > kMaxBars)
    bars.erase(bars.begin(), bars.end() - static_cast<std::ptrdiff_t>(kMaxBars));
  const std::uint64_t most = highest(series);
  std::string out;
  for (const Bar& bar : bars) {
    std::string name = bar.series->name;
    name.resize(widest, ' ');
    out += day(bar.point.time) + "  " + name + "  " + bar_of(bar.point.counts, most) + " " +
           std::to_string(bar.point.counts.total()) + "\n";
  }
  if (!out.empty()) out += "█ critical  ▓ high  ▒ medium  ░ low  · unknown\n";
  return out;
}

std::string draw_svg(const std::string& title, const std::vector<ChartSeries>& series) {
  const Scale scale(series);
  std::string out =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
      "viewBox=\"0 0 720 400\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"720\" height=\"400\" fill=\"#fff\"/>\n";
  out += label(kLeft, 24, "start", title);
  out += axes(scale);
  double x = kLeft;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const bool is_dashed = i > 0;
    const char* style = is_dashed ? "stroke=\"#2c3e50\" stroke-width=\"2\" stroke-dasharray=\"6 4\""
                                  : "stroke=\"#2c3e50\" stroke-width=\"2\"";
    out += stroke(x, 42, x + 24, 42, style);
    out += label(x + 30, 46, "start", series[i].name);
    x += 330;
    out += curve(series[i], scale, false, is_dashed);
    out += curve(series[i], scale, true, is_dashed);
  }
  out += label(kLeft, 62, "start", "dark: all, red: high and critical");
  return out + "</svg>\n";
}

}  // namespace assay::cli
