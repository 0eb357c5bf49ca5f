// SPDX-License-Identifier: Apache-2.0
// From signed bytes to a catalog: signatures, chain, the rules of a base's life, head.
#include <algorithm>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/catalog/log.h"
#include "common/catalog/replay.h"

namespace assay::catalog {
namespace {

Error untrusted(std::string message) {
  return Error{ErrorCode::kUntrusted, std::move(message)};
}

struct Opened {
  std::string payload;
  std::vector<std::string> signers;  ///< ids of the keys with a good signature, at least one
};

Result<Envelope> read_envelope(std::string_view bytes) {
  ASSAY_ASSIGN(Envelope envelope, Envelope::from_json(bytes));
  if (envelope.payload_type != kInTotoPayloadType)
    return Error{ErrorCode::kCorrupt, "its payload is not an in-toto statement"};
  return envelope;
}

/// Who signed it, when those are enough by `keys`.
Result<std::vector<std::string>> signers_of(const Envelope& envelope, const KeySet& keys) {
  std::vector<std::string> signers = verified_by(envelope, keys.keys);
  if (!signers.empty() && signers.size() >= keys.threshold) return signers;
  return untrusted(std::to_string(signers.size()) + " good signatures by trusted keys, " +
                   std::to_string(keys.threshold) +
                   " needed: it was altered, or signed with a key that the trust file lacks");
}

/// Verifies one log from its first byte on; used once.
class Verification {
 public:
  explicit Verification(const TrustRoot& trust) : sets_(trust.key_sets()) {}

  Result<void> take(const std::string& envelope) {
    ASSAY_ASSIGN(Opened opened, open_statement(envelope));
    ASSAY_ASSIGN(Statement statement, statement_from_in_toto(opened.payload));
    ASSAY_TRY(check_place(statement));
    ASSAY_TRY(replay_.apply(statement, opened.signers.front()));
    last_ = sha256(opened.payload);
    history_.push_back(std::move(statement));
    signers_.push_back(std::move(opened.signers));
    return ok();
  }

  Result<Head> check_head(const std::string& envelope) const {
    if (envelope.empty()) return untrusted("it is missing: fetch the log again, with its head");
    ASSAY_ASSIGN(const Envelope opened, read_envelope(envelope));
    ASSAY_TRY(signers_of(opened, sets_.back()));
    ASSAY_ASSIGN(Head head, head_from_in_toto(opened.payload));
    if (history_.empty())
      return untrusted("it ends at entry " + std::to_string(head.sequence) +
                       " but the log is empty: entries were removed");
    if (head.catalog_id != history_.front().catalog_id)
      return untrusted("it belongs to another catalog: fetch log and head from one collector");
    if (head.sequence > history_.size())
      return untrusted("it ends at entry " + std::to_string(head.sequence) +
                       " but the log stops at " + std::to_string(history_.size()) +
                       ": the log was shortened");
    if (head.sequence < history_.size())
      return untrusted("it ends at entry " + std::to_string(head.sequence) + " of " +
                       std::to_string(history_.size()) +
                       ": the head is old; the entries after it need one of their own");
    if (head.last != last_)
      return untrusted(
          "it was signed over another last entry: log and head do not belong together");
    return head;
  }

  VerifiedLog finish(Head head) && {
    Catalog catalog = std::move(replay_).finish(head.catalog_id, head.sequence);
    return VerifiedLog{
        std::move(catalog), std::move(head), std::move(history_), std::move(signers_), {}};
  }

 private:
  /// By the keys of the oldest root that may still sign: never older than the statement before.
  /// What is kept of old keys here is for history; the head, which the newest keys sign, vouches
  /// for it.
  Result<Opened> open_statement(const std::string& bytes) {
    ASSAY_ASSIGN(Envelope envelope, read_envelope(bytes));
    std::optional<Error> refusal;
    for (std::size_t at = set_; at < sets_.size(); ++at) {
      auto signers = signers_of(envelope, sets_[at]);
      if (signers) {
        set_ = at;
        return Opened{std::move(envelope.payload), std::move(*signers)};
      }
      refusal = std::move(signers.error());
    }
    return *std::move(refusal);
  }

  Result<void> check_place(const Statement& statement) const {
    const std::uint64_t expected = history_.size() + 1;
    if (statement.sequence != expected)
      return untrusted("it has sequence " + std::to_string(statement.sequence) +
                       ": entries are missing or out of order");
    if (!history_.empty() && statement.catalog_id != history_.front().catalog_id)
      return untrusted("it belongs to another catalog");
    if (statement.previous != last_)
      return untrusted("it does not follow the entry before it: the chain is broken");
    return ok();
  }

  const std::vector<KeySet> sets_;  // oldest root first, at least one
  std::size_t set_ = 0;             // in use
  Replay replay_;
  Sha256 last_;
  std::vector<Statement> history_;
  std::vector<std::vector<std::string>> signers_;
};

Result<void> check_size(const SignedLog& log) {
  if (log.statements.size() > kMaxStatements)
    return Error{ErrorCode::kLimitExceeded, "the catalog's log has more than 1000000 entries"};
  std::size_t bytes = 0;
  for (const std::string& statement : log.statements)
    bytes += statement.size();
  if (bytes > kMaxLogBytes)
    return Error{ErrorCode::kLimitExceeded, "the catalog's log is larger than 1 GiB"};
  return ok();
}

}  // namespace

Result<VerifiedLog> verify_log(const SignedLog& log, const TrustRoot& trust) {
  ASSAY_TRY(check_size(log));
  auto extended = extend_trust(trust, log.roots);
  if (!extended) return std::move(extended.error()).with_context("catalog log, root");
  if (log.statements.empty() && log.head.empty())
    return VerifiedLog{{}, {}, {}, {}, std::move(*extended)};
  Verification verification(*extended);
  for (std::size_t i = 0; i < log.statements.size(); ++i)
    if (auto taken = verification.take(log.statements[i]); !taken)
      return std::move(taken.error()).with_context("catalog log, entry " + std::to_string(i + 1));
  auto head = verification.check_head(log.head);
  if (!head) return std::move(head.error()).with_context("catalog log, head");
  VerifiedLog verified = std::move(verification).finish(std::move(*head));
  verified.trust = std::move(*extended);
  return verified;
}

Result<void> check_successor(const Head& held, const SignedLog& next, const Head& next_head) {
  if (held.sequence == 0) return ok();
  if (next_head.catalog_id != held.catalog_id)
    return untrusted("this is another catalog: " + escape_untrusted(next_head.catalog_id, 64) +
                     " instead of " + escape_untrusted(held.catalog_id, 64));
  if (next_head.sequence < held.sequence || next.statements.size() < held.sequence)
    return untrusted("lower sequence: the log ends at " + std::to_string(next_head.sequence) +
                     ", entry " + std::to_string(held.sequence) + " was already verified here");
  if (next_head.sequence == held.sequence && next_head.issued_at < held.issued_at)
    return untrusted("older head: it was signed on " + to_rfc3339(next_head.issued_at, 0) +
                     ", one of " + to_rfc3339(held.issued_at, 0) + " was already verified here");
  ASSAY_ASSIGN(const Sha256 digest, statement_digest(next.statements[held.sequence - 1]));
  if (digest != held.last)
    return untrusted("fork: entry " + std::to_string(held.sequence) +
                     " is another than the one that was verified here");
  return ok();
}

Result<Head> verify_mark(std::string_view envelope, const TrustRoot& trust) {
  ASSAY_ASSIGN(const Envelope opened, read_envelope(envelope));
  if (verified_by(opened, trust.mark_keys).empty())
    return untrusted("no collector's key that the root names has signed the freshness mark");
  ASSAY_ASSIGN(Head mark, mark_from_in_toto(opened.payload));
  if (mark.expires_at - mark.issued_at > kMarkLifetime)
    return untrusted("the freshness mark is made for longer than a day");
  return mark;
}

bool is_stale(const Head& head, WallTime now) {
  return head.sequence != 0 && head.expires_at <= now;
}

}  // namespace assay::catalog
