// SPDX-License-Identifier: Apache-2.0
#include "cli/output/chart.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::cli;

namespace {

ChartPoint point(int day, catalog::SeverityCounts counts) {
  return {WallTime(std::chrono::days(20'000 + day)), counts};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

}  // namespace

TEST_CASE("bars have the length of their counts, the worst first", "[cli][unit]") {
  const std::vector<ChartSeries> series{{"a:1", {point(0, {5, 5, 5, 5, 5}), point(2, {})}},
                                        {"longer:2", {point(1, {0, 50, 0, 0, 0})}}};
  CHECK(draw_bars(series) ==
        "2024-10-04  a:1       █████▓▓▓▓▓▒▒▒▒▒░░░░░····· 25\n"
        "2024-10-05  longer:2  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 50\n"
        "2024-10-06  a:1        0\n"
        "█ critical  ▓ high  ▒ medium  ░ low  · unknown\n");
  CHECK(draw_bars({{"a:1", {}}}).empty());
}

TEST_CASE("one finding among many still shows", "[cli][unit]") {
  const std::string bars =
      draw_bars({{"a:1", {point(0, {0, 0, 0, 0, 1}), point(1, {0, 10'000, 0, 0, 0})}}});
  CHECK(bars.find("█ 1\n") != std::string::npos);
}

TEST_CASE("only the newest scans are drawn as bars", "[cli][unit]") {
  ChartSeries series{"a:1", {}};
  for (int day = 0; day < 100; ++day)
    series.points.push_back(point(day, {1, 0, 0, 0, 0}));
  const std::string bars = draw_bars({series});
  CHECK(count(bars, "\n") == 41);
  CHECK(bars.starts_with("2024-12-03"));
}

TEST_CASE("a picture has lines for each base, and escapes names", "[cli][unit]") {
  const std::string svg = draw_svg("<b>&\"", {{"a:1", {point(0, {1, 0, 0, 0, 0}), point(9, {})}},
                                              {"b:2", {point(4, {0, 0, 0, 2, 0})}}});
  CHECK(svg.find("&lt;b&gt;&amp;&quot;") != std::string::npos);
  CHECK(svg.find("<b>") == std::string::npos);
  CHECK(count(svg, "<polyline") == 4);
  CHECK(count(svg, "<circle") == 6);
  CHECK(count(svg, "stroke-dasharray") == 3);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(draw_svg("x", {{"a:1", {}}}).find("nan") == std::string::npos);
}
