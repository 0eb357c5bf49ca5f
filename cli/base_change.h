// SPDX-License-Identifier: Apache-2.0
// What approve, deprecate, revoke and policy set share: the signer's options, and one change from
// word to log.
#pragma once

#include <string>

#include "cli/trusted_log.h"

namespace CLI {  // NOLINT: not our name
class App;
}

namespace assay::cli {

struct ChangeOptions {
  std::string name;             ///< NAME[:VERSION]; "" for the policy
  std::string key_file;         ///< "": the one in the settings
  std::string passphrase_file;  ///< "": the one in the settings
  std::string reason;
  std::string change_file;  ///< where to write the change for others to sign; "": submit it
  bool is_dry_run = false;
  bool is_confirmed = false;
};

/// --key, --reason, --dry-run and --yes. `options` must live as long as `command`.
void add_signing_options(CLI::App& command, ChangeOptions& options);
/// NAME, and those. `options` must live as long as `command`.
void add_change_options(CLI::App& command, ChangeOptions& options);

/// --key and --passphrase-file alone.
void add_key_options(CLI::App& command, ChangeOptions& options);

/// The key that signs. Errors: those of load_signing_key().
Result<catalog::SigningKey> signing_key(const ChangeOptions& options, Session& session);

/// The next statement of the log, for `base` (empty: the policy), with the options' reason.
catalog::Statement new_statement(const TrustedLog& trusted, const ChangeOptions& options,
                                 const catalog::BaseId& base, catalog::Action action, WallTime now);

/// Signs and checks `statement`; submits it unless this is a dry run. The value says what was (or
/// would be) changed: base (none for the policy), action, sequence, key_id, is_dry_run, signatures,
/// signatures_needed, change_file, agents_connected.
struct Change {
  Object value;
  std::uint64_t sequence = 0;
  std::size_t signatures = 0;
  std::size_t needed = 1;
};
/// `file_sets`: those that the statement names, encoded.
Result<Change> apply_change(const TrustedLog& trusted, const catalog::Statement& statement,
                            const ChangeOptions& options, Session& session,
                            const std::vector<std::string>& file_sets = {});

/// What a person reads at the end: `done`, or that nothing was changed yet and what comes next.
std::string note_of(const ChangeOptions& options, const Change& change, std::string done);

/// Submits (or writes) a change that has a new head, or new roots, but no statement.
Result<Outcome> apply_head(const TrustedLog& trusted, const catalog::SignedChange& change,
                           const ChangeOptions& options, Session& session);

/// The refusal of a change with too few signatures, saying how to get more.
Error incomplete(const PreparedChange& prepared);

/// Writes a change for others to sign. Errors: kAlreadyExists, kUnavailable.
Result<void> write_change_file(const std::string& path, const catalog::SignedChange& change,
                               const std::vector<std::string>& file_sets);

}  // namespace assay::cli
