// SPDX-License-Identifier: Apache-2.0
// Counts over time as a drawing: bars for a terminal, lines for a page.
#pragma once

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/catalog/scan_summary.h"

namespace assay::cli {

struct ChartPoint {
  WallTime time{};
  catalog::SeverityCounts counts;
};

/// One line of the chart: a base, its scans oldest first.
struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;
};

/// A bar for each of the newest scans of all series together, oldest first, with a legend; lines
/// end in '\n'. At most 40 bars of 50 columns.
std::string draw_bars(const std::vector<ChartSeries>& series);

/// An SVG 1.1 picture of 720 by 400: for each series a line of all and a line of high and critical;
/// names are escaped. The first series is solid, the others are dashed.
std::string draw_svg(const std::string& title, const std::vector<ChartSeries>& series);

}  // namespace assay::cli
