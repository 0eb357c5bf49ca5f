// SPDX-License-Identifier: Apache-2.0
// `assay audit`: who did what, when, from where, and who was refused.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/dates.h"
#include "cli/output/document.h"

namespace assay::cli {
namespace {

struct Options {
  AuditFilter filter;
  std::string since;
};

Result<Outcome> list(Options options, Session& session) {
  if (!options.since.empty()) {
    ASSAY_ASSIGN(options.filter.since, parse_past_date(options.since, "--since", session.now()));
  }
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<AuditEntry> entries, client->list_audit(options.filter));
  Array rows;
  for (const AuditEntry& entry : entries)
    rows.push_back(Object{{"time", entry.time},
                          {"actor", entry.actor},
                          {"action", entry.action},
                          {"subject", entry.subject},
                          {"outcome", entry.outcome},
                          {"detail", entry.detail},
                          {"peer", entry.peer}});
  return Outcome{.document = {Object{{"entries", std::move(rows)}},
                              {{.path = "entries",
                                .columns = {{"TIME", "time"},
                                            {"ACTOR", "actor"},
                                            {"ACTION", "action"},
                                            {"OUTCOME", "outcome"},
                                            {"SUBJECT", "subject"},
                                            {"FROM", "peer"},
                                            {"DETAIL", "detail"}}}}},
                 .note = entries.empty() ? "No entries." : ""};
}

}  // namespace

void add_audit(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(app, "audit", "List who did what, and who was refused", invocation,
                  [options](Session& session) { return list(*options, session); });
  command.group("You and others");
  AuditFilter& filter = options->filter;
  command.add_option("--actor", filter.actor, "only of this user, token or node")
      ->option_text("NAME");
  command
      .add_option("--action", filter.action,
                  "only this action, or all that begin so: token, finding.mute")
      ->option_text("ACTION");
  command.add_option("--outcome", filter.outcome, "only with this outcome: done, refused, failed")
      ->option_text("WORD");
  command.add_option("--since", options->since, "only from then on")->option_text("DATE");
  command.add_option("--limit", filter.limit, "at most so many, newest first (default: all)")
      ->option_text("N");
}

}  // namespace assay::cli
