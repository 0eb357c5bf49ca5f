// SPDX-License-Identifier: Apache-2.0
// `assay finding …`: what people do about findings.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/dates.h"
#include "cli/records.h"
#include "common/base/encoding.h"

namespace assay::cli {
namespace {

constexpr std::size_t kLeastDigits = 8, kAllDigits = 32;  // of a finding's id

struct Options {
  std::vector<std::string> findings;
  FindingChange change;
  bool is_for_nobody = false;
  std::string until;
};

std::vector<Section> sections() {
  return {{.columns = {{"Finding", "finding_id"},
                       {"Kind", "kind"},
                       {"State", "state"},
                       {"Subject", "subject"},
                       {"Reason", "reason"},
                       {"Base", "base"},
                       {"Container", "container"},
                       {"Cluster", "cluster", Style::kPlain, true},
                       {"Node", "node"},
                       {"Run", "run_id"},
                       {"Opened", "opened_at"},
                       {"Changed", "changed_at"},
                       {"Resolved", "resolved_at"},
                       {"Why", "resolved_reason"},
                       {"Triage", "triage"},
                       {"Acknowledged by", "acknowledged_by"},
                       {"Acknowledged", "acknowledged_at"},
                       {"Note", "acknowledged_note"},
                       {"Assigned to", "assignee"},
                       {"Assigned by", "assigned_by"},
                       {"Muted by", "muted_by"},
                       {"Muted until", "muted_until"},
                       {"Muted because", "muted_reason"},
                       {"Revision", "revision", Style::kPlain, true}},
           .is_record = true},
          {.title = "History",
           .path = "history",
           .columns = {{"TIME", "time"},
                       {"WHO", "actor"},
                       {"WHAT", "action"},
                       {"TO", "assignee"},
                       {"UNTIL", "muted_until"},
                       {"NOTE", "note"}}}};
}

Result<Outcome> show(const std::string& finding, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const FindingDetail detail, client->get_finding(finding));
  Value value = to_value(detail.finding);
  Array history;
  for (const TriageEntry& entry : detail.history)
    history.push_back(Object{{"time", entry.time},
                             {"actor", entry.actor},
                             {"action", entry.action},
                             {"note", entry.note},
                             {"assignee", entry.assignee},
                             {"muted_until", entry.muted_until}});
  Object object = std::get<Object>(value.storage());
  object.emplace_back("history", std::move(history));
  return Outcome{.document = {std::move(object), sections()}};
}

/// What can be known of the arguments before the first finding is changed.
Result<void> check_arguments(const Options& options, const std::string& action) {
  const bool has_assignee = !options.change.assignee.empty();
  if (action == "assign" && has_assignee == options.is_for_nobody)
    return Error{ErrorCode::kInvalidArgument,
                 "say to whom: either --to NAME, or --nobody to take it away from who has it"};
  for (const std::string& finding : options.findings)
    if (finding.size() < kLeastDigits || finding.size() > kAllDigits ||
        finding.find_first_not_of("0123456789abcdef") != std::string::npos)
      return Error{ErrorCode::kInvalidArgument, "nothing was changed: \"" +
                                                    escape_untrusted(finding, 80) +
                                                    "\" is no id of a finding: 32 hex digits, or "
                                                    "the first 8 or more of them"};
  if (options.change.revision != 0 && options.findings.size() > 1)
    return Error{ErrorCode::kInvalidArgument, "--revision goes with one finding"};
  return ok();
}

/// All of them, one after the other; the first that is refused ends it.
Result<Outcome> change(const Options& options, const std::string& action, Session& session) {
  ASSAY_TRY(check_arguments(options, action));
  FindingChange change = options.change;
  change.action = options.is_for_nobody ? "unassign" : action;
  if (!options.until.empty()) {
    ASSAY_ASSIGN(change.muted_until, parse_date(options.until, "--until", session.now()));
  }
  ASSAY_ASSIGN(Client * client, session.client());
  Array rows;
  std::string note;
  for (const std::string& finding : options.findings) {
    change.finding = finding;
    auto changed = client->change_finding(change);
    if (!changed && rows.empty()) return std::move(changed.error());
    if (!changed)
      return std::move(changed.error())
          .with_context("the first " + std::to_string(rows.size()) + " are done, then");
    if (!changed->said.empty())
      note += (note.empty() ? "" : "\n") + changed->finding.finding_id + ": " + changed->said;
    Object row = std::get<Object>(to_value(changed->finding).storage());
    row.emplace_back("is_changed", changed->is_changed);
    row.emplace_back("said", changed->said);
    rows.push_back(std::move(row));
  }
  return Outcome{.document = {Object{{"findings", std::move(rows)}},
                              {{.path = "findings",
                                .columns = {{"FINDING", "finding_id"},
                                            {"KIND", "kind"},
                                            {"TRIAGE", "triage"},
                                            {"ASSIGNED TO", "assignee"},
                                            {"MUTED UNTIL", "muted_until"},
                                            {"CHANGED", "is_changed"}}}}},
                 .note = std::move(note)};
}

CLI::App& add_change(CLI::App& group, const char* name, const std::string& action, const char* text,
                     Invocation& invocation, const std::shared_ptr<Options>& options) {
  CLI::App& command = add_command(
      group, name, text, invocation,
      [options, action](Session& session) { return change(*options, action, session); });
  command.add_option("FINDING", options->findings, "ids, or how they begin (8 digits at least)")
      ->required();
  command
      .add_option("--revision", options->change.revision,
                  "only if nobody changed it since (finding show -o wide)")
      ->option_text("N");
  return command;
}

void add_note(CLI::App& command, const std::shared_ptr<Options>& options) {
  command.add_option("--note", options->change.note, "for the record")->option_text("TEXT");
}

}  // namespace

void add_finding(CLI::App& app, Invocation& invocation) {
  CLI::App& group =
      *app.add_subcommand("finding", "Look at one finding, and do something about it");
  group.require_subcommand(1);
  group.fallthrough();
  group.group("Containers and nodes");
  // Shared by the parser, which fills it, and the commands, which run after.
  const auto options = std::make_shared<Options>();
  CLI::App& one =
      add_command(group, "show", "Show a finding, and who did what about it", invocation,
                  [options](Session& session) { return show(options->findings.front(), session); });
  one.add_option("FINDING", options->findings, "its id, or how it begins (8 digits at least)")
      ->required()
      ->expected(1);
  add_note(add_change(group, "ack", "acknowledge", "Acknowledge findings: somebody knows",
                      invocation, options),
           options);
  CLI::App& assign =
      add_change(group, "assign", "assign", "Assign findings to somebody", invocation, options);
  auto* to = assign.add_option("--to", options->change.assignee, "whom")->option_text("NAME");
  assign.add_flag("--nobody", options->is_for_nobody, "take them away from who has them")
      ->excludes(to);
  add_note(assign, options);
  CLI::App& mute = add_change(group, "mute", "mute",
                              "Leave findings out of lists until a date, or until they change",
                              invocation, options);
  mute.add_option("--until", options->until, "when they come back")
      ->required()
      ->option_text("DATE");
  mute.add_option("--reason", options->change.note, "why")->required()->option_text("TEXT");
  add_note(add_change(group, "unmute", "unmute", "Bring muted findings back", invocation, options),
           options);
  add_note(add_change(group, "reopen", "reopen",
                      "Take acknowledgement, assignment and mute away again", invocation, options),
           options);
}

}  // namespace assay::cli
