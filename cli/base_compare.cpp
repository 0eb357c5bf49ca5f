// SPDX-License-Identifier: Apache-2.0
// `assay base compare`: which base to stand on.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/about_view.h"
#include "cli/commands.h"
#include "cli/records.h"
#include "cli/scan_view.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

/// NAME stands for all versions of it.
Result<std::vector<const catalog::Base*>> named(const catalog::Catalog& catalog,
                                                const std::vector<std::string>& names) {
  std::vector<const catalog::Base*> bases;
  for (const std::string& name : names) {
    ASSAY_ASSIGN(const catalog::BaseId id, catalog::BaseId::parse(name));
    if (id.version.empty() && !catalog.versions_of(id.name).empty()) {
      const auto versions = catalog.versions_of(id.name);
      bases.insert(bases.end(), versions.begin(), versions.end());
      continue;
    }
    ASSAY_ASSIGN(const catalog::Base* base, find_base(catalog, id));
    bases.push_back(base);
  }
  return bases;
}

/// Null where no database of packages was found, or one could not be read.
Value packages_of(const catalog::Base& base) {
  std::uint64_t packages = 0;
  const catalog::About about = about_from(base.annotations);
  for (const auto& database : about.databases) {
    if (!database.gap.empty()) return {};
    packages += database.packages;
  }
  return about.databases.empty() ? Value() : Value(packages);
}

/// Of the first of its platforms.
void add_size(const catalog::Base& base, Object& object) {
  std::uint64_t bytes = 0;
  std::uint64_t layers = 0;
  Value files;
  if (!base.stacks.empty()) {
    const catalog::BaseStack& stack = base.stacks.front();
    for (const catalog::BaseLayer& layer : stack.layers)
      bytes += layer.content_bytes;
    layers = stack.layers.size();
    if (stack.file_set) files = stack.file_set->files;
  }
  object.emplace_back("content_bytes", bytes);
  object.emplace_back("layers", layers);
  object.emplace_back("files", std::move(files));
}

std::vector<Section> sections() {
  std::vector<Column> columns{{"BASE", "base"},
                              {"STATUS", "status", Style::kVerdict},
                              {"SIZE", "content_bytes", Style::kBytes},
                              {"FILES", "files"},
                              {"PACKAGES", "packages"}};
  add_count_columns(columns, "scan.counts.");
  const std::vector<Column> rest{{"SCANNED", "scan.scanned_at", Style::kAge},
                                 {"RUNNING", "running"},
                                 {"NODES", "nodes"},
                                 {"LAYERS", "layers", Style::kPlain, true},
                                 {"TOOL", "scan.tool", Style::kPlain, true},
                                 {"EXCLUDED", "scan.excluded", Style::kPlain, true}};
  columns.insert(columns.end(), rest.begin(), rest.end());
  return {{.path = "bases", .columns = std::move(columns)}};
}

Result<Outcome> compare(const std::vector<std::string>& names, Session& session) {
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(const auto bases, named(trusted.verified.catalog, names));
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const auto listed, client->list_scans("", true));
  const auto scans = by_base(listed);
  Array rows;
  bool is_unscanned = false;
  for (const catalog::Base* base : bases) {
    const Value known = cli::to_value(*base, trusted.verified.catalog.policy(), session.now());
    Object row{{"base", base->id.text()}, {"status", *known.find("status")}};
    add_size(*base, row);
    row.emplace_back("packages", packages_of(*base));
    row.emplace_back("scan", scan_of(scans, *base));
    is_unscanned |= !scans.contains(base->id.text());
    ASSAY_ASSIGN(const Impact impact, client->get_impact(base->id));
    row.emplace_back("running", impact.running);
    row.emplace_back("nodes", impact.nodes);
    rows.emplace_back(std::move(row));
  }
  return Outcome{.document = {Object{{"bases", std::move(rows)}}, sections()},
                 .note = is_unscanned
                             ? "Where there are no counts no scan was imported (assay scan import)."
                             : ""};
}

}  // namespace

void add_base_compare(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App& command =
      add_command(base, "compare", "Put bases side by side: size, packages, scans, use", invocation,
                  [names](Session& session) { return compare(*names, session); });
  command.add_option("NAME", *names, "NAME for all its versions, or NAME:VERSION")->required();
}

}  // namespace assay::cli
