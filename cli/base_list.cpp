// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/records.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

Result<Outcome> list(Session& session) {
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  Array bases;
  for (const auto& [id, base] : trusted.verified.catalog.bases())
    bases.push_back(to_value(base, trusted.verified.catalog.policy(), session.now()));
  const bool is_empty = bases.empty();
  return Outcome{.document = {Object{{"catalog_id", trusted.verified.catalog.id()},
                                     {"catalog_sequence", trusted.verified.catalog.sequence()},
                                     {"bases", std::move(bases)}},
                              {{.path = "bases",
                                .columns = {{"BASE", "base"},
                                            {"STATUS", "status", Style::kVerdict},
                                            {"LAYERS", "layers"},
                                            {"PLATFORM", "platforms"},
                                            {"DISTRIBUTION (CLAIMED)", "claimed_distribution.name"},
                                            {"CHANGED", "changed_at", Style::kAge},
                                            {"EXPIRES", "expires_at"},
                                            {"REASON", "reason"},
                                            {"UNTIL", "deprecated_until", Style::kPlain, true},
                                            {"CONTACT", "contact", Style::kPlain, true},
                                            {"BUILT", "built_at", Style::kPlain, true},
                                            {"SUCCESSOR", "successor", Style::kPlain, true},
                                            {"SEQUENCE", "changed_in", Style::kPlain, true},
                                            {"SIGNED BY", "changed_by", Style::kPlain, true}}}}},
                 .note = is_empty ? "The catalog is empty; assay base approve adds a base." : ""};
}

}  // namespace

void add_base_list(CLI::App& base, Invocation& invocation) {
  add_command(base, "list", "List the bases of the catalog", invocation, list);
}

}  // namespace assay::cli
