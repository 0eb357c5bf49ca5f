// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/records.h"
#include "common/catalog/judge.h"

namespace assay::cli {
namespace {

struct Options {
  FindingFilter filter;
  bool has_exit_code = false;
};

std::vector<Column> columns(bool has_resolved, bool has_clusters) {
  std::vector<Column> shown{{"KIND", "kind"},
                            {"BASE", "base"},
                            {"CONTAINER", "container"},
                            {"CLUSTER", "cluster", Style::kPlain, !has_clusters},
                            {"NODE", "node"}};
  if (has_resolved) shown.push_back({"STATE", "state"});
  shown.push_back({"TRIAGE", "triage"});
  const std::vector<Column> rest{{"AGE", "opened_at", Style::kAge},
                                 {"FINDING", "finding_id"},
                                 {"REASON", "reason"},
                                 {"SUBJECT", "subject", Style::kPlain, true},
                                 {"IMAGE", "names.image", Style::kPlain, true},
                                 {"NAMESPACE", "names.pod_namespace", Style::kPlain, true},
                                 {"POD", "names.pod_name", Style::kPlain, true},
                                 {"RUN", "run_id", Style::kPlain, true},
                                 {"ASSIGNED TO", "assignee", Style::kPlain, true},
                                 {"MUTED UNTIL", "muted_until", Style::kPlain, true},
                                 {"MUTED BECAUSE", "muted_reason", Style::kPlain, true},
                                 {"RESOLVED", "resolved_reason", Style::kPlain, true}};
  shown.insert(shown.end(), rest.begin(), rest.end());
  return shown;
}

Result<Outcome> list(const Options& options, Session& session) {
  const FindingFilter& filter = options.filter;
  if (!filter.kind.empty()) ASSAY_TRY(catalog::parse_finding_kind(filter.kind));
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<Finding> findings, client->list_findings(filter));
  const bool is_negative = options.has_exit_code && !findings.empty();
  return Outcome{{Object{{"findings", to_array(findings)}},
                  {{.path = "findings",
                    .columns = columns(filter.include_resolved, has_several_clusters(findings))}}},
                 is_negative ? ExitCode::kNegative : ExitCode::kOk,
                 findings.empty() ? "No findings." : ""};
}

}  // namespace

void add_findings(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(app, "findings", "List what needs action", invocation,
                                  [options](Session& session) { return list(*options, session); });
  command.group("Containers and nodes");
  FindingFilter& filter = options->filter;
  command.add_flag("-a,--all", filter.include_resolved, "resolved ones, too");
  command.add_option("--kind", filter.kind, "only of this kind, e.g. unknown-base")
      ->option_text("KIND");
  command.add_option("--base", filter.base, "only on this base")->option_text("NAME[:VERSION]");
  command.add_option("--node", filter.node, "only on this node")->option_text("[CLUSTER/]NODE");
  command.add_option("--limit", filter.limit, "at most so many, newest first (default: all)")
      ->option_text("N");
  command.add_flag("--muted", filter.include_muted, "muted ones, too");
  command.add_option("--triage", filter.triage, "only these: new, acknowledged or muted")
      ->option_text("WORD");
  command.add_option("--assignee", filter.assignee, "only those assigned to NAME")
      ->option_text("NAME");
  command.add_flag("--exit-code", options->has_exit_code,
                   "end with 1 when there is a finding (otherwise 0)");
}

}  // namespace assay::cli
