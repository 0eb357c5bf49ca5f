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
  std::string signer;  ///< id of the first key with a good signature
};

/// The payload of an envelope that enough trusted keys signed.
Result<Opened> open_envelope(std::string_view bytes, const TrustRoot& trust) {
  ASSAY_ASSIGN(Envelope envelope, Envelope::from_json(bytes));
  if (envelope.payload_type != kInTotoPayloadType)
    return Error{ErrorCode::kCorrupt, "its payload is not an in-toto statement"};
  std::vector<std::string> signers = verified_by(envelope, trust.keys);
  if (signers.empty() || signers.size() < trust.threshold)
    return untrusted(std::to_string(signers.size()) + " good signatures by trusted keys, " +
                     std::to_string(trust.threshold) +
                     " needed: it was altered, or signed with a key that the trust file lacks");
  return Opened{std::move(envelope.payload), std::move(signers.front())};
}

/// Verifies one log from its first byte on; used once.
class Verification {
 public:
  explicit Verification(const TrustRoot& trust) : trust_(trust) {}

  Result<void> take(const std::string& envelope) {
    ASSAY_ASSIGN(const Opened opened, open_envelope(envelope, trust_));
    ASSAY_ASSIGN(Statement statement, statement_from_in_toto(opened.payload));
    ASSAY_TRY(check_place(statement));
    ASSAY_TRY(replay_.apply(statement, opened.signer));
    last_ = sha256(envelope);
    history_.push_back(std::move(statement));
    return ok();
  }

  Result<Head> check_head(const std::string& envelope) const {
    if (envelope.empty()) return untrusted("it is missing: fetch the log again, with its head");
    ASSAY_ASSIGN(const Opened opened, open_envelope(envelope, trust_));
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
    return VerifiedLog{std::move(catalog), std::move(head), std::move(history_)};
  }

 private:
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

  const TrustRoot& trust_;
  Replay replay_;
  Sha256 last_;
  std::vector<Statement> history_;
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
  if (log.statements.empty() && log.head.empty()) return VerifiedLog{};
  Verification verification(trust);
  for (std::size_t i = 0; i < log.statements.size(); ++i)
    if (auto taken = verification.take(log.statements[i]); !taken)
      return std::move(taken.error()).with_context("catalog log, entry " + std::to_string(i + 1));
  auto head = verification.check_head(log.head);
  if (!head) return std::move(head.error()).with_context("catalog log, head");
  return std::move(verification).finish(std::move(*head));
}

Result<void> check_successor(const Head& held, const SignedLog& next, const Head& next_head) {
  if (held.sequence == 0) return ok();
  if (next_head.catalog_id != held.catalog_id)
    return untrusted("this is another catalog: " + escape_untrusted(next_head.catalog_id, 64) +
                     " instead of " + escape_untrusted(held.catalog_id, 64));
  if (next_head.sequence < held.sequence || next.statements.size() < held.sequence)
    return untrusted("lower sequence: the log ends at " + std::to_string(next_head.sequence) +
                     ", entry " + std::to_string(held.sequence) + " was already verified here");
  if (sha256(next.statements[held.sequence - 1]) != held.last)
    return untrusted("fork: entry " + std::to_string(held.sequence) +
                     " is another than the one that was verified here");
  return ok();
}

bool is_stale(const Head& head, WallTime now) {
  return head.sequence != 0 && head.expires_at <= now;
}

}  // namespace assay::catalog
