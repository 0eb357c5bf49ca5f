// SPDX-License-Identifier: Apache-2.0
#include "cli/base_change.h"

#include <CLI/CLI.hpp>

#include "cli/keys.h"
#include "common/catalog/change_file.h"

namespace assay::cli {

void add_change_options(CLI::App& command, ChangeOptions& options) {
  command.add_option("NAME", options.name, "NAME or NAME:VERSION of the base")->required();
  add_signing_options(command, options);
}

void add_key_options(CLI::App& command, ChangeOptions& options) {
  command.add_option("--key", options.key_file, "private key to sign with (default: signing_key)")
      ->option_text("FILE");
  command
      .add_option("--passphrase-file", options.passphrase_file,
                  "its passphrase, the first line of FILE (default: signing_passphrase_file; else "
                  "it is asked for)")
      ->option_text("FILE");
}

void add_signing_options(CLI::App& command, ChangeOptions& options) {
  add_key_options(command, options);
  command.add_option("--reason", options.reason, "why, for everyone who reads the log")
      ->option_text("TEXT");
  command
      .add_option("--sign-only", options.change_file,
                  "write the signed change to FILE for others to sign (assay log sign), submit "
                  "nothing")
      ->option_text("FILE");
  command.add_flag("--dry-run", options.is_dry_run, "check and show everything, change nothing");
  command.add_flag("-y,--yes", options.is_confirmed, "do not ask");
}

Result<catalog::SigningKey> signing_key(const ChangeOptions& options, Session& session) {
  ASSAY_ASSIGN(const Settings* settings, session.settings());
  const std::string& file =
      options.key_file.empty() ? settings->signing_key_file : options.key_file;
  const std::string& passphrase_file =
      options.passphrase_file.empty() ? settings->signing_passphrase_file : options.passphrase_file;
  // Asked once: a command checks the key before its long work, and signs after it.
  if (const auto* known = session.signing_key(file)) return *known;
  ASSAY_ASSIGN(catalog::SigningKey key,
               load_signing_key(file, passphrase_file, session.terminal()));
  session.remember_signing_key(file, key);
  return key;
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
  ASSAY_ASSIGN(const PreparedChange prepared, prepare_change(trusted, statement, key));
  Change change{{{"action", catalog::to_string(statement.action)},
                 {"reason", statement.reason},
                 {"catalog_id", statement.catalog_id},
                 {"sequence", statement.sequence},
                 {"key_id", key.public_key().key_id()},
                 {"is_dry_run", options.is_dry_run},
                 {"signatures", std::uint64_t{prepared.signatures}},
                 {"signatures_needed", std::uint64_t{prepared.needed}}},
                statement.sequence,
                prepared.signatures,
                prepared.needed};
  if (!statement.policy) change.value.insert(change.value.begin(), {"base", statement.base.text()});
  if (options.is_dry_run) return change;
  if (!options.change_file.empty()) {
    ASSAY_TRY(write_change_file(options.change_file, prepared.change, file_sets));
    change.value.emplace_back("change_file", options.change_file);
    return change;
  }
  if (!prepared.is_complete()) return incomplete(prepared);
  ASSAY_ASSIGN(const Submitted submitted, submit_change(prepared, file_sets, session));
  change.value.emplace_back("agents_connected", submitted.agents_connected);
  return change;
}

Error incomplete(const PreparedChange& prepared) {
  return {ErrorCode::kUntrusted,
          "the root asks for " + std::to_string(prepared.needed) +
              " signatures: write the change with --sign-only FILE, have the others run assay log "
              "sign FILE, then run assay log submit FILE"};
}

Result<void> write_change_file(const std::string& path, const catalog::SignedChange& change,
                               const std::vector<std::string>& file_sets) {
  return write_new_file(path, catalog::ChangeFile{change, file_sets}.to_json(), 0644);
}

std::string note_of(const ChangeOptions& options, const Change& change, std::string done) {
  if (options.is_dry_run) return "Dry run: nothing was changed.";
  if (options.change_file.empty()) return done;
  return "Nothing was changed yet: " + options.change_file + " has " +
         std::to_string(change.signatures) + " of " + std::to_string(change.needed) +
         " signatures. Others add theirs with assay log sign " + options.change_file +
         "; assay log submit " + options.change_file + " hands it in.";
}

}  // namespace assay::cli
