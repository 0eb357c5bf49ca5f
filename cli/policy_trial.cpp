// SPDX-License-Identifier: Apache-2.0
// `assay policy test`: what a policy would make of everything that runs now. Signs nothing.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/policy_file.h"
#include "cli/policy_view.h"
#include "cli/records.h"
#include "cli/trusted_log.h"

namespace assay::cli {
namespace {

Array group_values(const PolicyTrial& trial) {
  Array groups;
  for (const TrialGroup& group : trial.groups)
    groups.push_back(Object{{"before", group.before},
                            {"after", group.after},
                            {"base", group.base},
                            {"namespace", group.pod_namespace},
                            {"running", group.running},
                            {"nodes", group.nodes},
                            {"reason", group.reason}});
  return groups;
}

Array finding_values(const PolicyTrial& trial) {
  Array findings;
  for (const TrialFinding& finding : trial.findings)
    findings.push_back(Object{{"kind", finding.kind},
                              {"base", finding.base},
                              {"opened", finding.opened},
                              {"resolved", finding.resolved}});
  return findings;
}

Array run_values(const PolicyTrial& trial) {
  Array runs;
  for (const TrialRun& run : trial.runs)
    runs.push_back(Object{{"run_id", run.run_id},
                          {"container", container_text(run.names, run.run_id)},
                          {"cluster", run.cluster},
                          {"node", run.node},
                          {"before", run.before},
                          {"after", run.after},
                          {"reason", run.reason},
                          {"names", to_value(run.names)}});
  return runs;
}

std::vector<Section> sections() {
  return {
      {.columns = {{"Running", "running"}, {"With another verdict", "changed"}}, .is_record = true},
      change_section(),
      {.title = "Verdicts that change",
       .path = "groups",
       .columns = {{"BEFORE", "before", Style::kVerdict},
                   {"AFTER", "after", Style::kVerdict},
                   {"BASE", "base"},
                   {"NAMESPACE", "namespace"},
                   {"RUNNING", "running"},
                   {"NODES", "nodes"},
                   {"REASON", "reason"}}},
      {.title = "Findings",
       .path = "findings",
       .columns =
           {{"KIND", "kind"}, {"BASE", "base"}, {"OPENED", "opened"}, {"RESOLVED", "resolved"}}},
      {.title = "Containers whose verdict changes",
       .path = "runs",
       .columns = {{"CONTAINER", "container"},
                   {"IMAGE", "names.image"},
                   {"NODE", "node"},
                   {"BEFORE", "before", Style::kVerdict},
                   {"AFTER", "after", Style::kVerdict},
                   {"NAMESPACE", "names.pod_namespace", Style::kPlain, true},
                   {"RUN", "run_id", Style::kPlain, true}}}};
}

Result<Outcome> test(const std::string& file, Session& session) {
  ASSAY_ASSIGN(const catalog::Policy policy, read_policy_file(file, session.now()));
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const PolicyTrial trial, client->test_policy(policy));
  std::string note = "Nothing was changed: " + std::to_string(trial.changed) + " of " +
                     std::to_string(trial.running) +
                     " running containers would have another verdict.";
  if (trial.not_searched != 0)
    note += "\nThe files of " + std::to_string(trial.not_searched) +
            " stacks are not at the collector: what the other thresholds of containment would find "
            "there is not in the numbers.";
  return Outcome{
      .document = {Object{{"running", trial.running},
                          {"changed", trial.changed},
                          {"changes", policy_changes(trusted.verified.catalog.policy(), policy)},
                          {"groups", group_values(trial)},
                          {"findings", finding_values(trial)},
                          {"runs", run_values(trial)},
                          {"not_searched", trial.not_searched},
                          {"catalog_sequence", trial.catalog_sequence}},
                   sections()},
      .note = std::move(note)};
}

}  // namespace

void add_policy_test(CLI::App& policy, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto file = std::make_shared<std::string>();
  CLI::App& command =
      add_command(policy, "test", "Show what a policy would make of what runs now; changes nothing",
                  invocation, [file](Session& session) { return test(*file, session); });
  command.add_option("FILE", *file, "YAML: docs/cli.md, \"The policy\"")->required();
}

}  // namespace assay::cli
