// SPDX-License-Identifier: Apache-2.0
// The writing side of the log: next statement, signatures, head.
#include <sys/random.h>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/catalog/log.h"

namespace assay::catalog {
namespace {

std::string random_catalog_id() {
  char bytes[16];
  ASSAY_ASSERT(::getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
  return to_hex({bytes, sizeof(bytes)});
}

Result<std::string> sign_payload(std::string payload, const std::vector<SigningKey>& keys) {
  if (keys.empty()) return Error{ErrorCode::kInvalidArgument, "no key to sign with"};
  ASSAY_ASSIGN(const Envelope envelope,
               sign_envelope(std::move(payload), kInTotoPayloadType, keys));
  return envelope.to_json();
}

}  // namespace

Result<SignedChange> sign_change(const Statement& statement, const std::vector<SigningKey>& keys) {
  std::string payload = to_in_toto(statement);
  if (auto readable = statement_from_in_toto(payload); !readable)
    return Error{ErrorCode::kInvalidArgument, std::move(readable.error().message)}.with_context(
        "cannot sign this statement");
  const Head head{statement.catalog_id, statement.sequence, sha256(payload), statement.issued_at,
                  statement.issued_at + kHeadLifetime};
  ASSAY_ASSIGN(std::string signed_statement, sign_payload(std::move(payload), keys));
  ASSAY_ASSIGN(std::string signed_head, sign_head(head, keys));
  return SignedChange{std::move(signed_statement), std::move(signed_head), {}};
}

Result<Sha256> statement_digest(std::string_view envelope) {
  ASSAY_ASSIGN(const Envelope opened, Envelope::from_json(envelope));
  return sha256(opened.payload);
}

Result<std::string> sign_head(const Head& head, const std::vector<SigningKey>& keys) {
  return sign_payload(to_in_toto(head), keys);
}

Result<SignedChange> sign_new_head(const Head& held, WallTime now,
                                   const std::vector<SigningKey>& keys) {
  Head head = held;
  head.issued_at = now;
  head.expires_at = now + kHeadLifetime;
  SignedChange change;
  ASSAY_ASSIGN(change.head, sign_head(head, keys));
  return change;
}

Result<std::string> sign_mark(const Head& head, WallTime now, const SigningKey& key) {
  Head mark = head;
  mark.issued_at = now;
  mark.expires_at = now + kMarkLifetime;
  return sign_payload(mark_to_in_toto(mark), {key});
}

std::string held_state(const SignedLog& log) {
  if (log.head.empty() && log.roots.empty()) return "";
  std::string state(sha256(log.head).raw());
  for (int shift = 0; shift < 64; shift += 8)
    state += static_cast<char>(static_cast<unsigned char>(log.roots.size() >> shift));
  return state;
}

Statement next_statement(const SignedLog& log, const Head& head, WallTime now) {
  Statement statement;
  statement.catalog_id = head.catalog_id.empty() ? random_catalog_id() : head.catalog_id;
  statement.sequence = log.statements.size() + 1;
  if (!log.statements.empty()) statement.previous = head.last;
  statement.issued_at = now;
  return statement;
}

}  // namespace assay::catalog
