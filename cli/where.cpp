// SPDX-License-Identifier: Apache-2.0
// `assay where`: on which bases a vulnerability is, and in which running containers.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/records.h"
#include "cli/scan_view.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

constexpr std::size_t kNamedInNote = 10;

Value status_of(const catalog::Catalog& catalog, const std::string& base, WallTime now) {
  const auto id = catalog::BaseId::parse(base);
  const catalog::Base* found = id ? catalog.find(*id) : nullptr;
  if (found == nullptr) return "";
  const Value value = cli::to_value(*found, catalog.policy(), now);
  return *value.find("status");
}

Object to_object(const VulnerableBase& found) {
  return {{"base", found.scan.base},
          {"vulnerability", found.id},
          {"aliases", to_texts(found.aliases)},
          {"severity", found.severity},
          {"severity_said", found.severity_said},
          {"package", found.package},
          {"installed", found.installed},
          {"fixed", found.fixed},
          {"origin", found.origin},
          {"applicability", found.applicability},
          {"status_said", found.vex_said.empty() ? found.status_said : found.vex_said},
          {"tool", found.scan.tool},
          {"image", found.scan.image},
          {"image_id", found.scan.image_id},
          {"scanned_at", found.scan.scanned_at},
          {"running", found.running},
          {"nodes", found.nodes}};
}

Value to_value(const VulnerableRun& run) {
  return Object{{"run_id", run.run_id},
                {"container", container_text(run.names, run.run_id)},
                {"cluster", run.cluster},
                {"node", run.node},
                {"base", run.base},
                {"origin", run.origin},
                {"started_at", run.started_at},
                {"names", cli::to_value(run.names)}};
}

/// Nothing is known of bases that were never scanned: they are named, never left out.
Array unscanned(const catalog::Catalog& catalog, const std::map<std::string, Scan>& scans) {
  Array names;
  for (const auto& [id, base] : catalog.bases())
    if (!scans.contains(id.text())) names.emplace_back(id.text());
  return names;
}

std::string note_of(const Where& where, const Array& unscanned, const std::string& name) {
  std::string note;
  if (where.findings.empty()) note = "No scan of a base names " + name + ".";
  if (where.is_cut) note = "There is more than is shown.";
  if (unscanned.empty()) return note;
  note += (note.empty() ? "" : "\n") + std::to_string(unscanned.size()) +
          " bases were never scanned, so nothing is known of them: ";
  for (std::size_t i = 0; i < std::min(unscanned.size(), kNamedInNote); ++i)
    note += (i == 0 ? "" : ", ") + std::get<std::string>(unscanned[i].storage());
  return note + (unscanned.size() > kNamedInNote ? ", …" : "");
}

std::vector<Section> sections() {
  const std::vector<Column> about{{"SEVERITY", "severity"},
                                  {"PACKAGE", "package"},
                                  {"INSTALLED", "installed"},
                                  {"FIXED", "fixed"},
                                  {"STATUS OF IT", "applicability"},
                                  {"TOOL", "tool"},
                                  {"SCANNED", "scanned_at", Style::kAge},
                                  {"RUNNING", "running"},
                                  {"NODES", "nodes"},
                                  {"ID", "vulnerability", Style::kPlain, true},
                                  {"SAID", "severity_said", Style::kPlain, true},
                                  {"WHY", "status_said", Style::kPlain, true}};
  std::vector<Column> bases{{"BASE", "base"}, {"STATUS", "status", Style::kVerdict}};
  bases.insert(bases.end(), about.begin(), about.end());
  std::vector<Column> applications{{"IMAGE", "image"}, {"ON BASE", "base"}, {"IN", "origin"}};
  applications.insert(applications.end(), about.begin(), about.end());
  return {{.title = "Bases", .path = "bases", .columns = std::move(bases)},
          {.title = "Images on bases, in layers of their own (application)",
           .path = "applications",
           .columns = std::move(applications)},
          {.title = "Running containers",
           .path = "runs",
           .columns = {{"CONTAINER", "container"},
                       {"IMAGE", "names.image"},
                       {"NODE", "node"},
                       {"BASE", "base"},
                       {"IN", "origin"},
                       {"AGE", "started_at", Style::kAge},
                       {"CLUSTER", "cluster", Style::kPlain, true},
                       {"NAMESPACE", "names.pod_namespace", Style::kPlain, true},
                       {"POD", "names.pod_name", Style::kPlain, true},
                       {"RUN", "run_id", Style::kPlain, true}}}};
}

Result<Outcome> find(const std::string& name, Session& session) {
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const Where where, client->where(name));
  ASSAY_ASSIGN(const auto scans, client->list_scans("", true));
  const catalog::Catalog& catalog = trusted.verified.catalog;
  Array bases, applications, runs;
  for (const VulnerableBase& found : where.findings) {
    Object object = to_object(found);
    object.emplace_back("status", status_of(catalog, found.scan.base, session.now()));
    (found.origin == "base" ? bases : applications).emplace_back(std::move(object));
  }
  for (const VulnerableRun& run : where.runs)
    runs.push_back(to_value(run));
  Array missing = unscanned(catalog, by_base(scans));
  std::string note = note_of(where, missing, name);
  return Outcome{.document = {Object{{"vulnerability", name},
                                     {"bases", std::move(bases)},
                                     {"applications", std::move(applications)},
                                     {"runs", std::move(runs)},
                                     {"never_scanned", std::move(missing)},
                                     {"is_cut", where.is_cut}},
                              sections()},
                 .note = std::move(note)};
}

}  // namespace

void add_where(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto name = std::make_shared<std::string>();
  CLI::App& command =
      add_command(app, "where", "Find a vulnerability on bases and in containers", invocation,
                  [name](Session& session) { return find(*name, session); });
  command.group("Catalog of bases");
  command.add_option("ID", *name, "CVE-…, or another name that a scanner gave it")->required();
}

}  // namespace assay::cli
