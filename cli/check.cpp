// SPDX-License-Identifier: Apache-2.0
// `assay check`: would this image be accepted? For pipelines, before it ships.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/base_search.h"
#include "cli/commands.h"
#include "cli/directory_flags.h"
#include "cli/known_bases.h"
#include "cli/layered_image.h"

namespace assay::cli {
namespace {

using catalog::VerdictStatus;

struct Options {
  std::string source;
  std::string platform;
  DirectoryFlags directory;
  BaseFlags bases;
  bool refuses_deprecated = false;
};

/// An approved one that nothing speaks against; a deprecated one until its date, unless refused.
bool is_accepted(const BaseSearch& search, const Options& options) {
  const VerdictStatus status = search.verdict.status;
  if (status != VerdictStatus::kApproved && status != VerdictStatus::kDeprecated) return false;
  if (!search.gap.empty()) return false;  // what lies above the base is not known
  return std::ranges::all_of(search.findings, [&](const catalog::FindingCause& finding) {
    return finding.kind == catalog::FindingKind::kDeprecatedBase && !options.refuses_deprecated;
  });
}

/// A verdict that waits for more evidence than this source can give is none.
ExitCode exit_code_of(const BaseSearch& search, const Options& options) {
  if (is_accepted(search, options)) return ExitCode::kOk;
  return search.verdict.status == VerdictStatus::kPending ? ExitCode::kUsage : ExitCode::kNegative;
}

Value to_value(const Options& options, const image::Image& image, const BaseSearch& search) {
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
                {"is_accepted", is_accepted(search, options)},
                {"verdict", catalog::to_string(search.verdict.status)},
                {"reason", search.verdict.reason},
                {"catalog_sequence", search.verdict.catalog_sequence}};
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
                                          {"Evidence", "evidence"},
                                          {"Reason", "reason"},
                                          {"Own layers", "application_layers"}},
                              .is_record = true}};
  add_search_sections(shown, search);
  if (!search.findings.empty())
    shown.push_back({.title = "Findings that it would open",
                     .path = "findings",
                     .columns = {{"KIND", "kind"}, {"SUBJECT", "subject"}, {"REASON", "reason"}}});
  return shown;
}

Result<Outcome> check(const Options& options, Session& session) {
  image::ImageOptions wanted;
  wanted.platform = options.platform;
  ASSAY_TRY(apply(options.directory, wanted));
  ASSAY_ASSIGN(const KnownBases known, known_bases(options.bases, options.platform, session));
  ASSAY_ASSIGN(const LayeredImage layered, read_layers(options.source, std::move(wanted), session));
  const BaseSearch search = search_bases(layered, known, session.now());
  Outcome outcome{{to_value(options, layered.image, search), sections(search)},
                  exit_code_of(search, options)};
  if (outcome.exit_code == ExitCode::kUsage)
    outcome.note = "assay: " + options.source + " could not be judged: " + search.verdict.reason;
  return outcome;
}

}  // namespace

void add_check(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(app, "check", "Ask whether an image would be accepted, before it ships",
                  invocation, [options](Session& session) { return check(*options, session); });
  command.group("Images and keys");
  add_source(command, options->source, options->platform);
  add_base_flags(command, options->bases);
  add_directory_flags(command, options->directory);
  command.add_flag("--refuse-deprecated", options->refuses_deprecated,
                   "a deprecated base is not accepted either");
  command.footer("Ends with 0 when it is accepted, with 1 when it is not, else it was not judged.");
}

}  // namespace assay::cli
