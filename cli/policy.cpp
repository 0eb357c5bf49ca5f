// SPDX-License-Identifier: Apache-2.0
// `assay policy show` and `assay policy set`: what the catalog asks of every run.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/base_change.h"
#include "cli/commands.h"
#include "cli/policy_file.h"
#include "cli/policy_schema.h"
#include "cli/policy_view.h"
#include "cli/policy_yaml.h"
#include "common/output/json.h"
#include "common/output/table.h"

namespace assay::cli {
namespace {

struct Options {
  ChangeOptions change;
  std::string file;
};

Result<Outcome> show(Session& session) {
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  Array history;
  for (const catalog::Statement& statement : trusted.verified.history)
    if (statement.policy)
      history.push_back(Object{{"sequence", statement.sequence},
                               {"issued_at", statement.issued_at},
                               {"reason", statement.reason},
                               {"policy", policy_value(*statement.policy)}});
  const bool is_default = history.empty();
  return Outcome{.document = {Object{{"policy", policy_value(trusted.verified.catalog.policy())},
                                     {"catalog_sequence", trusted.verified.catalog.sequence()},
                                     {"history", std::move(history)}},
                              {{.columns = policy_columns("policy"), .is_record = true},
                               exemption_section("policy"),
                               {.title = "History",
                                .path = "history",
                                .columns = {{"SEQUENCE", "sequence"},
                                            {"TIME", "issued_at"},
                                            {"REASON", "reason"}}}},
                              "",
                              policy_yaml(trusted.verified.catalog.policy(), session.now())},
                 .note = is_default ? "Nobody has set a policy: these are the defaults." : ""};
}

Result<Outcome> set(const Options& options, Session& session) {
  ASSAY_ASSIGN(const catalog::Policy policy, read_policy_file(options.file, session.now()));
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  if (trusted.verified.catalog.policy() == policy)
    return Outcome{.note = "The policy is so already; nothing was changed."};
  catalog::Statement statement =
      new_statement(trusted, options.change, {}, catalog::Action::kSetPolicy, session.now());
  statement.policy = policy;
  const Array changes = policy_changes(trusted.verified.catalog.policy(), policy);
  if (!options.change.is_confirmed && !options.change.is_dry_run) {
    const Document shown{Object{{"changes", changes}}, {change_section()}};
    session.terminal().note(to_table(shown, {.now = session.now()}));
    ASSAY_ASSIGN(const bool is_agreed, session.terminal().confirm(
                                           "Set the policy of all nodes to " + options.file + "?"));
    if (!is_agreed)
      return Outcome{.exit_code = ExitCode::kNegative, .note = "Nothing was changed."};
  }
  ASSAY_ASSIGN(Change change, apply_change(trusted, statement, options.change, session));
  change.value.emplace_back("changes", changes);
  change.value.emplace_back("before", policy_value(trusted.verified.catalog.policy()));
  change.value.emplace_back("policy", policy_value(policy));
  const std::vector<Column> columns{{"Reason", "reason"},
                                    {"Catalog sequence", "sequence"},
                                    {"Signed by", "key_id"},
                                    {"Agents connected", "agents_connected"},
                                    {"Dry run", "is_dry_run"}};
  return Outcome{.document = {std::move(change.value),
                              {{.columns = columns, .is_record = true}, change_section()}},
                 .note = note_of(options.change, change, "The policy is set.")};
}

/// JSON in every format: nobody reads a schema as a table.
Result<Outcome> schema(Session&) {
  Document document{policy_schema(), {}};
  document.sections = {{.text = to_json(document)}};
  return Outcome{.document = std::move(document)};
}

}  // namespace

void add_policy(CLI::App& app, Invocation& invocation) {
  CLI::App* policy = app.add_subcommand("policy", "Show and set what the catalog asks of runs");
  policy->group("Catalog of bases")->require_subcommand(1);
  policy->fallthrough();
  add_command(*policy, "show", "Print the policy in force", invocation, show, Formats::kWithFile);
  add_command(*policy, "schema", "Print the JSON schema of policy files", invocation, schema);
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      add_command(*policy, "set", "Sign the policy of a file; keys it lacks are the defaults",
                  invocation, [options](Session& session) { return set(*options, session); });
  command.add_option("FILE", options->file, "YAML: docs/cli.md, \"The policy\"")->required();
  add_signing_options(command, options->change);
  add_policy_test(*policy, invocation);
}

}  // namespace assay::cli
