// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/records.h"
#include "cli/scan_view.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

std::vector<Section> sections() {
  std::vector<Column> columns{{"BASE", "base"}, {"STATUS", "status", Style::kVerdict}};
  add_count_columns(columns, "scan.counts.");
  const std::vector<Column> rest{{"SCANNED", "scan.scanned_at", Style::kAge},
                                 {"DISTRIBUTION (CLAIMED)", "claimed_distribution.name"},
                                 {"CHANGED", "changed_at", Style::kAge},
                                 {"EXPIRES", "expires_at"},
                                 {"REASON", "reason"},
                                 {"LAYERS", "layers", Style::kPlain, true},
                                 {"PLATFORM", "platforms", Style::kPlain, true},
                                 {"TOOL", "scan.tool", Style::kPlain, true},
                                 {"EXCLUDED", "scan.excluded", Style::kPlain, true},
                                 {"CONTACT", "contact", Style::kPlain, true},
                                 {"BUILT", "built_at", Style::kPlain, true},
                                 {"UNTIL", "deprecated_until", Style::kPlain, true},
                                 {"SUCCESSOR", "successor", Style::kPlain, true},
                                 {"SEQUENCE", "changed_in", Style::kPlain, true},
                                 {"SIGNED BY", "changed_by", Style::kPlain, true}};
  columns.insert(columns.end(), rest.begin(), rest.end());
  return {{.path = "bases", .columns = std::move(columns)}};
}

Result<Outcome> list(Session& session) {
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const auto listed, client->list_scans("", true));
  const auto scans = by_base(listed);
  Array bases;
  for (const auto& [id, base] : trusted.verified.catalog.bases()) {
    const Value value = to_value(base, trusted.verified.catalog.policy(), session.now());
    Object object = std::get<Object>(value.storage());
    object.emplace_back("scan", scan_of(scans, base));
    bases.emplace_back(std::move(object));
  }
  const bool is_empty = bases.empty();
  return Outcome{.document = {Object{{"catalog_id", trusted.verified.catalog.id()},
                                     {"catalog_sequence", trusted.verified.catalog.sequence()},
                                     {"bases", std::move(bases)}},
                              sections()},
                 .note = is_empty ? "The catalog is empty; assay base approve adds a base." : ""};
}

}  // namespace

void add_base_list(CLI::App& base, Invocation& invocation) {
  add_command(base, "list", "List the bases of the catalog", invocation, list);
}

}  // namespace assay::cli
