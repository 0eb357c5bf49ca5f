// SPDX-License-Identifier: Apache-2.0
#include "cli/base_change.h"

#include <CLI/CLI.hpp>

#include "cli/keys.h"

namespace assay::cli {

void add_change_options(CLI::App& command, ChangeOptions& options) {
  command.add_option("NAME", options.name, "NAME or NAME:VERSION of the base")->required();
  add_signing_options(command, options);
}

void add_signing_options(CLI::App& command, ChangeOptions& options) {
  command.add_option("--key", options.key_file, "private key to sign with (default: signing_key)")
      ->option_text("FILE");
  command.add_option("--reason", options.reason, "why, for everyone who reads the log")
      ->option_text("TEXT");
  command.add_flag("--dry-run", options.is_dry_run, "check and show everything, change nothing");
  command.add_flag("-y,--yes", options.is_confirmed, "do not ask");
}

Result<catalog::SigningKey> signing_key(const ChangeOptions& options, Session& session) {
  if (!options.key_file.empty()) return load_signing_key(options.key_file, session.terminal());
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  return load_signing_key(settings->signing_key_file, session.terminal());
}

catalog::Statement new_statement(const TrustedLog& trusted, const ChangeOptions& options,
                                 const catalog::BaseId& base, catalog::Action action,
                                 WallTime now) {
  catalog::Statement statement = catalog::next_statement(trusted.log, trusted.verified.head, now);
  statement.action = action;
  statement.base = base;
  statement.reason = options.reason;
  return statement;
}

Result<Change> apply_change(const TrustedLog& trusted, const catalog::Statement& statement,
                            const ChangeOptions& options, Session& session,
                            const std::vector<std::string>& file_sets) {
  ASSAY_ASSIGN(const catalog::SigningKey key, signing_key(options, session));
  ASSAY_ASSIGN(const PreparedChange prepared, prepare_change(trusted, statement, key, session));
  Change change{{{"action", catalog::to_string(statement.action)},
                 {"reason", statement.reason},
                 {"catalog_id", statement.catalog_id},
                 {"sequence", statement.sequence},
                 {"key_id", key.public_key().key_id()},
                 {"is_dry_run", options.is_dry_run}},
                statement.sequence};
  if (!statement.policy) change.value.insert(change.value.begin(), {"base", statement.base.text()});
  if (options.is_dry_run) return change;
  ASSAY_ASSIGN(const Submitted submitted, submit_change(prepared, file_sets, session));
  change.value.emplace_back("agents_connected", submitted.agents_connected);
  return change;
}

}  // namespace assay::cli
