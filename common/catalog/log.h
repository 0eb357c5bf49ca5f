// SPDX-License-Identifier: Apache-2.0
// The append-only, hash-chained log of signed statements that a catalog is replayed from
// (docs/formats/catalog.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/catalog/base_image.h"
#include "common/catalog/catalog.h"
#include "common/catalog/root.h"
#include "common/catalog/signing.h"

namespace assay::catalog {

enum class Action { kApprove, kDeprecate, kRevoke, kSetPolicy, kDraft };
std::string_view to_string(Action action);

/// One change, before it is signed.
struct Statement {
  std::string catalog_id;      ///< random 128-bit hex, fixed by the first statement
  std::uint64_t sequence = 0;  ///< from 1, without holes
  Sha256 previous;             ///< SHA-256 of the previous payload, zeros for the first
  WallTime issued_at{};
  Action action = Action::kApprove;
  BaseId base;                    ///< all but kSetPolicy
  std::vector<BaseStack> stacks;  ///< kApprove, kDraft
  std::string reason;
  std::optional<WallTime> deprecated_until;  ///< kDeprecate
  std::optional<WallTime> expires_at;        ///< kApprove
  std::string successor;
  std::map<std::string, std::string> annotations;
  std::optional<Policy> policy;  ///< kSetPolicy
};

/// Where the log ends, signed on its own so that a shortened log is told from a current one.
struct Head {
  std::string catalog_id;
  std::uint64_t sequence = 0;
  Sha256 last;  ///< SHA-256 of the last statement's payload
  WallTime issued_at{};
  WallTime expires_at{};
};
inline constexpr std::chrono::days kHeadLifetime{30};

/// Limits on what one statement and one log may hold (docs/formats/catalog.md); over one of them is
/// kLimitExceeded.
inline constexpr std::size_t kMaxStacks = 64;             ///< in one statement
inline constexpr std::size_t kMaxLayers = 512;            ///< in one stack; overlayfs takes 500
inline constexpr std::size_t kMaxAnnotations = 64;        ///< in one statement
inline constexpr std::size_t kMaxTextBytes = 4096;        ///< reason, an annotation's key or value
inline constexpr std::size_t kMaxStatements = 1'000'000;  ///< in one log
inline constexpr std::size_t kMaxLogBytes = 1U << 30;     ///< all envelopes of one log

/// in-toto Statement v1 JSON, the payload that is signed.
std::string to_in_toto(const Statement& statement);
std::string to_in_toto(const Head& head);
std::string mark_to_in_toto(const Head& mark);
/// Errors: kCorrupt, kLimitExceeded, kUnsupported (a predicate type of a later version).
Result<Statement> statement_from_in_toto(std::string_view json);
Result<Head> head_from_in_toto(std::string_view json);
Result<Head> mark_from_in_toto(std::string_view json);

/// The log as it is stored and sent: envelope bytes exactly as they were signed.
struct SignedLog {
  std::vector<std::string> statements;  ///< DSSE envelopes (JSON), oldest first
  std::string head;                     ///< DSSE envelope (JSON); "" only while the log is empty
  std::vector<std::string> roots = {};  ///< versions of the root, as far as the sender has them
  std::string mark = {};                ///< the collector's freshness mark (mark.h), or ""
};

/// SHA-256 of the payload in a statement's envelope: what the chain and the head name. The
/// signatures are not in it, so that several people can sign one statement one after the other.
/// Errors: kCorrupt, kLimitExceeded.
Result<Sha256> statement_digest(std::string_view envelope);

/// A log that was verified from its first byte to its head.
struct VerifiedLog {
  Catalog catalog;
  Head head;
  std::vector<Statement> history;  ///< for audit views, oldest first
  /// Ids of the trusted keys with a good signature on each of `history`.
  std::vector<std::vector<std::string>> signers = {};
  TrustRoot trust = {};  ///< the newest root that `trust` and the log led to
};

/// Verifies every signature, the chain, the sequences, the rules of a base's life and the head, and
/// replays the log into a catalog. An empty log gives an empty catalog at sequence 0. Roots in the
/// log that follow `trust` are taken over (root.h): the head must be signed by the newest one's
/// keys; each statement by those of a root that is not older than the one of the statement before.
/// Errors: kUntrusted (signature, threshold, broken chain, shortened log, head of another log),
/// kCorrupt (not our format), kInvalidArgument (a change that the base's life does not allow),
/// kLimitExceeded. The message says which entry and what to do.
Result<VerifiedLog> verify_log(const SignedLog& log, const TrustRoot& trust);

/// Whether `next` may replace `held`: same catalog id, sequence not lower, and the same history up
/// to `held` (no fork). Errors: kUntrusted, saying "lower sequence" or "fork".
Result<void> check_successor(const Head& held, const SignedLog& next, const Head& next_head);

/// What an agent that holds `log` says of it in Hello, "" of an empty one: SHA-256 of the head's
/// envelope, then the number of roots as 8 bytes, little-endian.
std::string held_state(const SignedLog& log);

/// True when the head's own date has passed: verdicts still hold but are `stale`.
bool is_stale(const Head& head, WallTime now);

/// Signs `statement` and a fresh head for the log that ends with it.
struct SignedChange {
  std::string statement = {};           ///< DSSE envelope (JSON); "": only the head is new
  std::string head = {};                ///< DSSE envelope (JSON)
  std::vector<std::string> roots = {};  ///< versions of the root that come with it
};
/// Errors: kInvalidArgument (no key, or a statement that no reader would accept).
Result<SignedChange> sign_change(const Statement& statement, const std::vector<SigningKey>& keys);

/// Signs `head` on its own, e.g. to give an unchanged log another kHeadLifetime.
/// Errors: kInvalidArgument (no key).
Result<std::string> sign_head(const Head& head, const std::vector<SigningKey>& keys);

/// A change that is only a new head for the same end of the log, good for another kHeadLifetime.
Result<SignedChange> sign_new_head(const Head& held, WallTime now,
                                   const std::vector<SigningKey>& keys);

/// A collector's word, with its own key, that `head` was the newest when the mark was made: good
/// for kMarkLifetime. It can only be missing; it approves nothing.
inline constexpr std::chrono::hours kMarkLifetime{24};
/// Errors: kInternal (the key does not sign).
Result<std::string> sign_mark(const Head& head, WallTime now, const SigningKey& key);
/// The mark in `envelope`, signed by one of `trust`'s mark keys and no longer than kMarkLifetime.
/// Whether it is of a log, and not over, is for the caller. Errors: kUntrusted, kCorrupt,
/// kLimitExceeded, kUnsupported.
Result<Head> verify_mark(std::string_view envelope, const TrustRoot& trust);

/// The next statement for `log` with catalog_id, sequence, previous and issued_at filled in.
Statement next_statement(const SignedLog& log, const Head& head, WallTime now);

}  // namespace assay::catalog
