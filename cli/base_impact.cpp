// SPDX-License-Identifier: Apache-2.0
#include "cli/base_impact.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/records.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

std::string plural(std::uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string text_of(const catalog::Base& base, std::string_view key) {
  const auto found = base.annotations.find(std::string(key));
  return found == base.annotations.end() ? std::string() : found->second;
}

/// The bases that the name means, with whom to ask; those that are no longer in a log that was
/// lost may still run, so none is no error.
Array bases_of(const catalog::Catalog& catalog, const catalog::BaseId& id,
               const catalog::Policy& policy, WallTime now) {
  Array bases;
  for (const catalog::Base* base : catalog.versions_of(id.name)) {
    if (!id.version.empty() && base->id != id) continue;
    const Value value = to_value(*base, policy, now);
    bases.push_back(Object{{"base", base->id.text()},
                           {"status", *value.find("status")},
                           {"contact", text_of(*base, catalog::kContactAnnotation)},
                           {"successor", base->successor}});
  }
  return bases;
}

Result<Outcome> impact(const std::string& name, Session& session) {
  ASSAY_ASSIGN(const catalog::BaseId id, catalog::BaseId::parse(name));
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  const catalog::Catalog& catalog = trusted.verified.catalog;
  Array bases = bases_of(catalog, id, catalog.policy(), session.now());
  if (bases.empty()) {
    ASSAY_ASSIGN(const catalog::Base* missing, find_base(catalog, id));
    (void)missing;
  }
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(Impact found, client->get_impact(id));
  found.base = name;
  std::vector<Section> sections{{.columns = {{"Running on it", "impact.running"},
                                             {"Of all running", "impact.running_total"},
                                             {"Nodes", "impact.nodes"},
                                             {"Namespaces", "impact.namespaces"},
                                             {"Owners", "impact.owners"},
                                             {"Since", "impact.since"}},
                                 .is_record = true},
                                {.title = "Bases",
                                 .path = "bases",
                                 .columns = {{"BASE", "base"},
                                             {"STATUS", "status", Style::kVerdict},
                                             {"CONTACT", "contact"},
                                             {"SUCCESSOR", "successor"}}}};
  for (Section& section : impact_sections("impact"))
    sections.push_back(std::move(section));
  return Outcome{
      .document = {Object{{"base", name}, {"bases", std::move(bases)}, {"impact", to_value(found)}},
                   std::move(sections)},
      .note = impact_text(found) + "."};
}

}  // namespace

std::vector<Section> impact_sections(const std::string& path) {
  return {{.title = "Whom to tell",
           .path = path + ".groups",
           .columns = {{"NAMESPACE", "namespace"},
                       {"OWNER", "owner"},
                       {"RUNNING", "running"},
                       {"NODES", "nodes"},
                       {"SINCE", "since", Style::kAge}}},
          {.title = "Containers that stand on it now",
           .path = path + ".runs",
           .columns = {{"CONTAINER", "container"},
                       {"IMAGE", "names.image"},
                       {"NODE", "node"},
                       {"AGE", "started_at", Style::kAge},
                       {"NAMESPACE", "names.pod_namespace", Style::kPlain, true},
                       {"POD", "names.pod_name", Style::kPlain, true},
                       {"RUN", "run_id", Style::kPlain, true}}}};
}

std::string impact_text(const Impact& impact) {
  std::string text = impact.base + ": " + std::to_string(impact.running) + " of " +
                     std::to_string(impact.running_total) + " running containers on " +
                     plural(impact.nodes, "node") + " stand on it";
  if (impact.namespaces != 0) text += ", in " + plural(impact.namespaces, "namespace");
  if (impact.owners != 0) text += ", of " + plural(impact.owners, "owner");
  return text;
}

void add_base_impact(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto name = std::make_shared<std::string>();
  CLI::App& command =
      add_command(base, "impact", "Show who runs a base: how many, where, whose, since when",
                  invocation, [name](Session& session) { return impact(*name, session); });
  command.add_option("NAME", *name, "NAME or NAME:VERSION of the base; NAME: all its versions")
      ->required();
}

}  // namespace assay::cli
