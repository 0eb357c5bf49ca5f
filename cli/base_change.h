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
  std::string name;      ///< NAME[:VERSION]; "" for the policy
  std::string key_file;  ///< "": the one in the settings
  std::string reason;
  bool is_dry_run = false;
  bool is_confirmed = false;
};

/// --key, --reason, --dry-run and --yes. `options` must live as long as `command`.
void add_signing_options(CLI::App& command, ChangeOptions& options);
/// NAME, and those. `options` must live as long as `command`.
void add_change_options(CLI::App& command, ChangeOptions& options);

/// The key that signs. Errors: those of load_signing_key().
Result<catalog::SigningKey> signing_key(const ChangeOptions& options, Session& session);

/// The next statement of the log, for `base` (empty: the policy), with the options' reason.
catalog::Statement new_statement(const TrustedLog& trusted, const ChangeOptions& options,
                                 const catalog::BaseId& base, catalog::Action action, WallTime now);

/// Signs and checks `statement`; submits it unless this is a dry run. The value says what was (or
/// would be) changed: base (none for the policy), action, sequence, key_id, is_dry_run,
/// agents_connected.
struct Change {
  Object value;
  std::uint64_t sequence = 0;
};
/// `file_sets`: those that the statement names, encoded.
Result<Change> apply_change(const TrustedLog& trusted, const catalog::Statement& statement,
                            const ChangeOptions& options, Session& session,
                            const std::vector<std::string>& file_sets = {});

}  // namespace assay::cli
