// SPDX-License-Identifier: Apache-2.0
// The collector's catalog after it was verified against pinned keys and against what was seen
// before. Nothing is shown or signed from a catalog that did not pass here.
#pragma once

#include "cli/session.h"
#include "common/catalog/log.h"

namespace assay::cli {

struct TrustedLog {
  catalog::SignedLog log;
  catalog::VerifiedLog verified;
};

/// The keys of `trust_file`. Errors: kInvalidArgument (none given, not readable as keys),
/// kNotFound.
Result<catalog::TrustRoot> load_trust(Session& session);

/// Notes that the head's date has passed.
void warn_if_stale(const catalog::VerifiedLog& verified, Session& session);

/// Fetches, verifies and remembers the log.
/// Errors: those of Client, of verify_log() and of HeadStore; kInvalidArgument (no trust file).
Result<TrustedLog> fetch_trusted_log(Session& session);

/// `id` in the catalog; without a version, the only version of that name.
/// Errors: kNotFound (names those that exist), kInvalidArgument (several versions: lists them).
Result<const catalog::Base*> find_base(const catalog::Catalog& catalog, const catalog::BaseId& id);

/// A change that was signed and checked, not yet submitted.
struct PreparedChange {
  catalog::SignedChange change;
  catalog::SignedLog next;        ///< the log as it will be
  catalog::VerifiedLog verified;  ///< `next`
  std::size_t signatures = 0;     ///< good ones on the statement and the head: the fewer of both
  std::size_t needed = 1;         ///< as the newest root asks for
  bool is_complete() const { return signatures >= needed; }
};

/// Replays the log that ends with `change`, so that the collector's rules are known to hold before
/// it sees anything. One good signature is enough here. Errors: those of verify_log().
Result<PreparedChange> check_change(const TrustedLog& trusted, catalog::SignedChange change);
/// Signs `statement`, and check_change(). Errors: kUntrusted (a key that is not trusted), as
/// sign_change() and check_change().
Result<PreparedChange> prepare_change(const TrustedLog& trusted,
                                      const catalog::Statement& statement,
                                      const catalog::SigningKey& key);
/// Errors: kUntrusted (`trust` does not have the key), saying what to do.
Result<void> expect_trusted_key(const catalog::TrustRoot& trust, const catalog::SigningKey& key);

/// Hands the change, with the file sets that it names (encoded), to the collector and remembers the
/// new head. Errors: those of Client.
Result<Submitted> submit_change(const PreparedChange& prepared,
                                const std::vector<std::string>& file_sets, Session& session);

}  // namespace assay::cli
