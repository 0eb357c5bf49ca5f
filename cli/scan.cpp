// SPDX-License-Identifier: Apache-2.0
// `assay scan import`
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/scan_view.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/scan/read_scan.h"

namespace assay::cli {
namespace {

struct Options {
  std::string file;
  std::string base;
  std::string scanned_at;
  bool accepts_empty = false;
  bool is_dry_run = false;
};

/// A day or RFC 3339 in UTC.
Result<std::optional<WallTime>> time_of(const std::string& text) {
  if (text.empty()) return std::optional<WallTime>();
  const bool is_day = text.find_first_of("Tt") == std::string::npos;
  auto parsed = parse_rfc3339(is_day ? text + "T00:00:00Z" : text);
  if (!parsed) return std::move(parsed.error()).with_context("--scanned-at");
  return std::optional(*parsed);
}

Result<ScanImport> read_import(const Options& options, const std::string& text) {
  auto report = scan::read_scan(text);
  if (!report) return std::move(report.error()).with_context(options.file);
  ScanImport scan;
  scan.report = std::move(*report);
  scan.digest = sha256(text);
  scan.base = options.base;
  ASSAY_ASSIGN(scan.scanned_at, time_of(options.scanned_at));
  scan.accepts_empty = options.accepts_empty;
  scan.is_dry_run = options.is_dry_run;
  return scan;
}

std::string note_of(const std::vector<ImportedScan>& imported, const Options& options) {
  if (options.is_dry_run) return "Dry run: nothing was changed.";
  std::string note;
  for (const ImportedScan& one : imported) {
    if (!note.empty()) note += "\n";
    const Scan& scan = one.scan;
    if (!one.is_new)
      note += scan.base + " has this report already; nothing was changed.";
    else if (scan.format == "openvex")
      note += "Attached to " + scan.base + "; it changed the counts of " +
              std::to_string(one.changed_scans) + " scans.";
    else if (scan.scope == "base")
      note += "Attached to " + scan.base + ".";
    else
      note += "Attached to " + scan.base +
              " as a scan of an image that stands on it: the base's own counts stay as they were.";
    if (scan.matched_by == "name" && !scan.is_time_said)
      note += " The report says neither its image nor its time: you are believed.";
  }
  return note;
}

std::vector<Section> sections() {
  std::vector<Column> columns{{"BASE", "base"}, {"OF", "scope"}, {"FOUND BY", "matched_by"}};
  add_count_columns(columns, "counts.");
  columns.push_back({"EXCLUDED", "excluded"});
  columns.push_back({"APPLICATION", "application"});
  columns.push_back({"UNATTRIBUTED", "unattributed"});
  columns.push_back({"NEW", "is_new"});
  return {{.columns = {{"File", "file"},
                       {"Format", "format"},
                       {"Tool", "tool"},
                       {"Version", "tool_version"},
                       {"Image", "image"},
                       {"Scanned", "scanned_at"},
                       {"Dry run", "is_dry_run"}},
           .is_record = true},
          {.title = "Bases", .path = "scans", .columns = std::move(columns)}};
}

Result<Outcome> import_scan(const Options& options, Session& session) {
  auto text = read_file(options.file == "-" ? "/dev/stdin" : options.file, scan::kMaxReportBytes);
  if (!text) return std::move(text.error());
  ASSAY_ASSIGN(const ScanImport scan, read_import(options, *text));
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const auto imported, client->import_scan(scan));
  Array scans;
  for (const ImportedScan& one : imported) {
    Object object = to_object(one.scan);
    object.emplace_back("is_new", one.is_new);
    object.emplace_back("changed_scans", one.changed_scans);
    scans.emplace_back(std::move(object));
  }
  const auto& names = scan.report.image.names;
  Object value{{"file", options.file},
               {"format", catalog::to_string(scan.report.format)},
               {"tool", scan.report.tool},
               {"tool_version", scan.report.tool_version},
               {"image", names.empty() ? "" : names.front()},
               {"scanned_at", imported.empty() ? Value() : Value(imported.front().scan.scanned_at)},
               {"is_dry_run", options.is_dry_run},
               {"scans", std::move(scans)}};
  return Outcome{.document = {std::move(value), sections()}, .note = note_of(imported, options)};
}

}  // namespace

void add_scan(CLI::App& app, Invocation& invocation) {
  CLI::App* scan = app.add_subcommand("scan", "Attach reports of scanners to bases");
  scan->group("Catalog of bases")->require_subcommand(1);
  scan->fallthrough();
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(*scan, "import", "Attach a report to the base that it is about", invocation,
                  [options](Session& session) { return import_scan(*options, session); });
  command
      .add_option("FILE", options->file,
                  "Trivy, Grype or Snyk JSON, SARIF, CycloneDX or OpenVEX; - for stdin")
      ->required();
  command.add_option("--base", options->base, "the base, when the report does not say its image")
      ->option_text("NAME[:VERSION]");
  command
      .add_option("--scanned-at", options->scanned_at,
                  "when it was scanned, when the report does not say: 2026-12-31, or RFC 3339")
      ->option_text("DATE");
  command.add_flag("--accept-empty", options->accepts_empty,
                   "a report without findings is a scan that found nothing, not a plain SBOM");
  command.add_flag("--dry-run", options->is_dry_run, "show what would be, change nothing");
}

}  // namespace assay::cli
