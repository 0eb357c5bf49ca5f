// SPDX-License-Identifier: Apache-2.0
// `assay base history`: how the counts of a base grew, against those of its successor.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>

#include "cli/commands.h"
#include "cli/output/chart.h"
#include "cli/records.h"
#include "cli/scan_view.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

/// The scans of one base itself, oldest first, as a line of the chart and as rows.
Result<ChartSeries> series_of(Client& client, const std::string& base, std::vector<Scan>& rows) {
  ASSAY_ASSIGN(const auto scans, client.list_scans(base, false));
  ChartSeries series{base, {}};
  for (const Scan& scan : scans) {
    if (scan.scope != "base" || !scan.scanned_at) continue;
    series.points.push_back({*scan.scanned_at, scan.counts});
    rows.push_back(scan);
  }
  return series;
}

/// Each with what its total changed by since the scan before it, of the same base and tool.
Array rows_of(std::vector<Scan> scans) {
  std::ranges::stable_sort(scans, {}, [](const Scan& scan) { return *scan.scanned_at; });
  std::map<std::pair<std::string, std::string>, std::uint64_t> before;
  Array rows;
  for (const Scan& scan : scans) {
    Object row = to_object(scan);
    const auto total = static_cast<std::int64_t>(scan.counts.total());
    const auto [last, is_first] = before.try_emplace({scan.base, scan.tool}, scan.counts.total());
    row.emplace_back("change",
                     is_first ? Value() : Value(total - static_cast<std::int64_t>(last->second)));
    last->second = scan.counts.total();
    rows.emplace_back(std::move(row));
  }
  return rows;
}

std::vector<Section> sections(std::string chart) {
  std::vector<Column> columns{{"SCANNED", "scanned_at"}, {"BASE", "base"}, {"TOOL", "tool"}};
  add_count_columns(columns, "counts.");
  columns.push_back({"CHANGE", "change"});
  columns.push_back({"EXCLUDED", "excluded", Style::kPlain, true});
  columns.push_back({"VERSION", "tool_version", Style::kPlain, true});
  columns.push_back({"IMPORTED", "imported_at", Style::kPlain, true});
  columns.push_back({"BY", "imported_by", Style::kPlain, true});
  columns.push_back({"REPORT", "digest", Style::kDigest, true});
  return {{.path = "scans", .columns = std::move(columns)},
          {.title = "All that bear on the base, by day", .text = std::move(chart)}};
}

Result<Outcome> show(const std::string& name, Session& session) {
  ASSAY_ASSIGN(const catalog::BaseId id, catalog::BaseId::parse(name));
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(const catalog::Base* base, find_base(trusted.verified.catalog, id));
  ASSAY_ASSIGN(Client * client, session.client());
  std::vector<Scan> scans;
  std::vector<ChartSeries> series;
  ASSAY_ASSIGN(ChartSeries own, series_of(*client, base->id.text(), scans));
  series.push_back(std::move(own));
  if (!base->successor.empty()) {
    ASSAY_ASSIGN(ChartSeries next, series_of(*client, base->successor, scans));
    series.push_back(std::move(next));
  }
  const bool is_empty = scans.empty();
  Document document{Object{{"base", base->id.text()},
                           {"successor", base->successor},
                           {"scans", rows_of(std::move(scans))}},
                    sections(is_empty ? "" : draw_bars(series))};
  document.picture = draw_svg("Vulnerabilities of " + base->id.text(), series);
  return Outcome{
      .document = std::move(document),
      .note =
          is_empty ? "No scan of " + base->id.text() + " was imported (assay scan import)." : ""};
}

}  // namespace

void add_base_history(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto name = std::make_shared<std::string>();
  CLI::App& command = add_command(
      base, "history", "Show how the counts of a base grew, and its successor's", invocation,
      [name](Session& session) { return show(*name, session); }, Pictures::kYes);
  command.add_option("NAME", *name, "NAME, or NAME:VERSION where there are several")->required();
}

}  // namespace assay::cli
