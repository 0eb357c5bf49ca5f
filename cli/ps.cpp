// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/records.h"
#include "common/catalog/judge.h"
#include "common/catalog/posture.h"

namespace assay::cli {
namespace {

std::vector<Column> columns(bool has_ended, bool has_clusters) {
  std::vector<Column> shown{{"CONTAINER", "container"},
                            {"IMAGE", "names.image"},
                            {"CLUSTER", "cluster", Style::kPlain, !has_clusters},
                            {"NODE", "node"},
                            {"BASE", "base"},
                            {"VERDICT", "verdict.status", Style::kVerdict},
                            {"RUNG", "verdict.rung"}};
  if (has_ended) shown.push_back({"STATE", "state"});
  const std::vector<Column> rest{{"AGE", "started_at", Style::kAge},
                                 {"RUN", "run_id", Style::kPlain, true},
                                 {"KIND", "kind", Style::kPlain, true},
                                 {"RUNTIME", "names.runtime", Style::kPlain, true},
                                 {"MANIFEST", "names.manifest_digest", Style::kDigest, true},
                                 {"CONFIG", "names.config_digest", Style::kDigest, true},
                                 {"REPO DIGEST", "names.repo_digest", Style::kDigest, true},
                                 {"NAMESPACE", "names.pod_namespace", Style::kPlain, true},
                                 {"POD", "names.pod_name", Style::kPlain, true},
                                 {"LAYERS", "layers", Style::kPlain, true},
                                 {"OWN", "verdict.application_layers", Style::kPlain, true},
                                 {"EXECUTABLE", "executable", Style::kPlain, true},
                                 {"PID", "process.pid", Style::kPlain, true},
                                 {"EXEMPTION", "exemption", Style::kPlain, true},
                                 {"REASON", "verdict.reason", Style::kPlain, true}};
  shown.insert(shown.end(), rest.begin(), rest.end());
  return shown;
}

Result<Outcome> list(const RunFilter& filter, Session& session) {
  if (!filter.verdict.empty()) ASSAY_TRY(catalog::parse_verdict_status(filter.verdict));
  for (const std::string& trait : filter.posture)
    ASSAY_TRY(catalog::parse_posture_trait(trait));
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<Run> runs, client->list_runs(filter));
  return Outcome{
      .document = {Object{{"runs", to_array(runs)}},
                   {{.path = "runs",
                     .columns = columns(filter.include_ended, has_several_clusters(runs))}}},
      .note = runs.empty() ? "No runs found." : ""};
}

}  // namespace

void add_ps(CLI::App& app, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto filter = std::make_shared<RunFilter>();
  CLI::App& command =
      add_command(app, "ps", "List the containers that run, with base and verdict", invocation,
                  [filter](Session& session) { return list(*filter, session); });
  command.group("Containers and nodes");
  command.add_flag("-a,--all", filter->include_ended, "those that have ended, too");
  command.add_option("--node", filter->node, "only on this node")->option_text("[CLUSTER/]NODE");
  command.add_option("--base", filter->base, "only on this base")->option_text("NAME[:VERSION]");
  command
      .add_option(
          "--verdict", filter->verdict,
          "only with this verdict: approved, deprecated, revoked, expired, unknown, pending")
      ->option_text("VERDICT");
  command.add_option("--container", filter->container, "only this name or id prefix")
      ->option_text("CONTAINER");
  command
      .add_option("--posture", filter->posture,
                  "only those that started so, all of them: root, privileged, no-seccomp, "
                  "new-privileges, host-user, host-pid, host-net, host-ipc, host-uts, host-cgroup, "
                  "host-mnt, writable-root")
      ->delimiter(',')
      ->option_text("TRAIT[,TRAIT]");
  command.add_option("--limit", filter->limit, "at most so many, newest first (default: all)")
      ->option_text("N");
}

}  // namespace assay::cli
