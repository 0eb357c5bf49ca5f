// SPDX-License-Identifier: Apache-2.0
// `assay check`: would this image be accepted? For pipelines, before it ships.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/base_search.h"
#include "cli/commands.h"
#include "cli/directory_flags.h"
#include "cli/known_bases.h"
#include "cli/layered_image.h"
#include "cli/policy_file.h"

namespace assay::cli {
namespace {

using catalog::VerdictStatus;
using Gate = GateReport::Result;

struct Options {
  std::string source;
  std::string platform;
  std::string policy_file;
  DirectoryFlags directory;
  BaseFlags bases;
  bool refuses_deprecated = false;
  bool allows_stale = false;
};

bool is_blocking(const catalog::FindingCause& finding, const Options& options) {
  return finding.kind != catalog::FindingKind::kDeprecatedBase || options.refuses_deprecated;
}

/// An approved one that nothing speaks against; a deprecated one until its date, unless refused.
bool is_accepted(const BaseSearch& search, const Options& options) {
  const VerdictStatus status = search.verdict.status;
  if (status != VerdictStatus::kApproved && status != VerdictStatus::kDeprecated) return false;
  if (!search.gap.empty()) return false;  // what lies above the base is not known
  return std::ranges::none_of(search.findings, [&](const catalog::FindingCause& finding) {
    return is_blocking(finding, options);
  });
}

/// A verdict that waits for more evidence than this source can give is none.
Gate result_of(const BaseSearch& search, const Options& options) {
  if (is_accepted(search, options)) return Gate::kAccepted;
  return search.verdict.status == VerdictStatus::kPending ? Gate::kNotJudged : Gate::kNotAccepted;
}

std::string_view to_string(Gate result) {
  if (result == Gate::kAccepted) return "accepted";
  return result == Gate::kNotAccepted ? "not-accepted" : "not-judged";
}

ExitCode exit_code_of(Gate result) {
  if (result == Gate::kAccepted) return ExitCode::kOk;
  return result == Gate::kNotAccepted ? ExitCode::kNegative : ExitCode::kUsage;
}

/// The base that names the image, as the catalog has it; null when there is none.
const catalog::Base* naming_base(const BaseSearch& search, const KnownBases& known) {
  const catalog::BaseMatch* match = search.verdict.naming();
  return match == nullptr ? nullptr : known.catalog.find(match->base);
}

GateReport report_of(const Options& options, const image::Image& image, const BaseSearch& search,
                     const KnownBases& known) {
  GateReport report;
  report.result = result_of(search, options);
  report.source = options.source;
  report.reference = image.reference;
  report.verdict = catalog::to_string(search.verdict.status);
  report.reason = search.verdict.reason;
  report.base = search.verdict.base_name();
  if (const catalog::Base* base = naming_base(search, known)) {
    report.base_built_at = base->built_at;
    if (known.scans && known.scans->contains(base->id)) report.scan = known.scans->at(base->id);
    if (base->changed_at != WallTime{}) report.base_changed_at = base->changed_at;
  }
  for (const catalog::FindingCause& finding : search.findings)
    report.problems.push_back({std::string(catalog::to_string(finding.kind)), finding.subject,
                               finding.reason, is_blocking(finding, options)});
  if (report.result == Gate::kNotJudged)
    report.problems = {{"not-judged", "", report.reason, true}};
  else if (report.result == Gate::kNotAccepted && !search.gap.empty())
    report.problems.push_back({"not-accepted", "", search.gap, true});
  else if (report.result == Gate::kNotAccepted && report.problems.empty())
    report.problems.push_back({"not-accepted", report.base, report.reason, true});
  return report;
}

Value to_value(const std::optional<catalog::ScanSummary>& scan) {
  if (!scan) return {};
  const catalog::SeverityCounts& counts = scan->counts;
  return Object{{"tool", scan->tool},      {"scanned_at", scan->scanned_at},
                {"total", counts.total()}, {"unknown", counts.unknown},
                {"low", counts.low},       {"medium", counts.medium},
                {"high", counts.high},     {"critical", counts.critical}};
}

Value to_value(const Options& options, const image::Image& image, const BaseSearch& search,
               const GateReport& report) {
  Array findings;
  for (const catalog::FindingCause& finding : search.findings)
    findings.push_back(Object{{"kind", catalog::to_string(finding.kind)},
                              {"subject", finding.subject},
                              {"reason", finding.reason}});
  Object object{{"source", options.source},
                {"source_kind", image::to_string(image.kind)},
                {"reference", image.reference},
                {"platform", image.platform},
                {"manifest_digest", image.manifest_digest},
                {"config_digest", image.config_digest},
                {"layers", std::uint64_t{image.layers.size()}},
                {"result", to_string(report.result)},
                {"is_accepted", report.result == Gate::kAccepted},
                {"verdict", catalog::to_string(search.verdict.status)},
                {"reason", search.verdict.reason},
                {"catalog_sequence", search.verdict.catalog_sequence},
                {"base_built_at", report.base_built_at},
                {"base_changed_at", report.base_changed_at},
                {"vulnerabilities", to_value(report.scan)}};
  add_search(object, search);
  object.emplace_back("findings", std::move(findings));
  return object;
}

std::vector<Section> sections(const BaseSearch& search) {
  std::vector<Section> shown{{.columns = {{"Source", "source"},
                                          {"Reference", "reference", Style::kPlain, true},
                                          {"Platform", "platform"},
                                          {"Layers", "layers"},
                                          {"Accepted", "is_accepted"},
                                          {"Verdict", "verdict", Style::kVerdict},
                                          {"Base", "base"},
                                          {"Base built (claimed)", "base_built_at", Style::kAge},
                                          {"Base changed", "base_changed_at", Style::kAge},
                                          {"Evidence", "evidence"},
                                          {"Reason", "reason"},
                                          {"Own layers", "application_layers"}},
                              .is_record = true},
                             {.title = "Vulnerabilities of the base",
                              .path = "vulnerabilities",
                              .columns = {{"TOTAL", "total"},
                                          {"UNKNOWN", "unknown"},
                                          {"LOW", "low"},
                                          {"MEDIUM", "medium"},
                                          {"HIGH", "high"},
                                          {"CRITICAL", "critical"}},
                              .is_record = true}};
  add_search_sections(shown, search);
  if (!search.findings.empty())
    shown.push_back({.title = "Findings that it would open",
                     .path = "findings",
                     .columns = {{"KIND", "kind"}, {"SUBJECT", "subject"}, {"REASON", "reason"}}});
  return shown;
}

/// The catalog with the policy of a file in place of its own.
Result<void> replace_policy(const std::string& file, WallTime now, KnownBases& known) {
  if (file.empty()) return ok();
  ASSAY_ASSIGN(const catalog::Policy policy, read_policy_file(file, now));
  known.catalog =
      catalog::Catalog(known.catalog.id(), known.catalog.sequence(), known.catalog.bases(), policy);
  return ok();
}

/// After its date nobody can say whether something was revoked since.
Result<void> refuse_stale(const KnownBases& known, const Options& options, WallTime now) {
  if (options.allows_stale || !known.expires_at || *known.expires_at > now) return ok();
  return Error{ErrorCode::kUntrusted,
               "the catalog's head expired on " + to_rfc3339(*known.expires_at, 0) +
                   ", so a revocation may be missing in it: export a newer one, sign a new head "
                   "(assay log renew), or use --allow-stale"};
}

Result<Outcome> check(const Options& options, Session& session) {
  image::ImageOptions wanted;
  wanted.platform = options.platform;
  ASSAY_TRY(apply(options.directory, wanted));
  ASSAY_ASSIGN(KnownBases known, known_bases(options.bases, options.platform, session));
  ASSAY_TRY(refuse_stale(known, options, session.now()));
  ASSAY_TRY(replace_policy(options.policy_file, session.now(), known));
  ASSAY_ASSIGN(const LayeredImage layered, read_layers(options.source, std::move(wanted), session));
  const BaseSearch search = search_bases(layered, known, session.now());
  GateReport report = report_of(options, layered.image, search, known);
  Outcome outcome{{to_value(options, layered.image, search, report), sections(search)},
                  exit_code_of(report.result)};
  if (report.result == Gate::kNotJudged)
    outcome.note = "assay: " + options.source + " could not be judged: " + search.verdict.reason;
  outcome.report = std::move(report);
  return outcome;
}

/// A pipeline tells "no" from "nobody knows" by the exit code alone: every failure is the latter.
Result<Outcome> gate(const Options& options, Format format, Session& session) {
  Result<Outcome> outcome = check(options, session);
  if (outcome) return outcome;
  const std::string reason = outcome.error().text();
  Outcome failed{.exit_code = ExitCode::kUsage, .note = "assay: " + reason};
  failed.report.emplace();
  failed.report->source = options.source;
  failed.report->reason = reason;
  failed.report->problems = {{"not-judged", "", reason, true}};
  if (format != Format::kTable && format != Format::kWide)
    failed.document.value = Object{{"source", options.source},
                                   {"result", to_string(Gate::kNotJudged)},
                                   {"is_accepted", false},
                                   {"reason", reason}};
  return failed;
}

}  // namespace

void add_check(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(
      app, "check", "Ask whether an image would be accepted, before it ships", invocation,
      [options, &invocation](Session& session) {
        return gate(*options, invocation.format, session);
      },
      Formats::kWithReports);
  command.group("Images and keys");
  add_source(command, options->source, options->platform);
  add_base_flags(command, options->bases);
  command
      .add_option_function<std::string>(
          "--collector",
          [&invocation](const std::string& address) {
            invocation.global.flags["collector.address"] = {address};
          },
          "the collector whose catalog decides (as --collector-address)")
      ->option_text("HOST:PORT")
      ->excludes("--catalog");
  command
      .add_option(
          "--policy", options->policy_file,
          "judge by the policy in FILE, not by the catalog's (as assay policy set reads it)")
      ->option_text("FILE");
  add_directory_flags(command, options->directory);
  command.add_flag("--refuse-deprecated", options->refuses_deprecated,
                   "a deprecated base is not accepted either");
  command.add_flag("--allow-stale", options->allows_stale,
                   "judge by a catalog whose head has expired, too");
  command.footer(
      "Ends with 0 when it is accepted, with 1 when it is not, with 2 when that could not be "
      "judged.");
}

}  // namespace assay::cli
