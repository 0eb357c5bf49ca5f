// SPDX-License-Identifier: Apache-2.0
#include "collector/catalog/keeper.h"

#include <algorithm>
#include <set>

#include "common/catalog/file_set.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxLogBytes = 48ULL << 20;  // fits one message of 64 MiB
constexpr std::chrono::minutes kMaxClockSkew{10};

std::size_t bytes_of(const catalog::SignedLog& log) {
  std::size_t bytes = log.head.size();
  for (const auto& statement : log.statements)
    bytes += statement.size();
  return bytes;
}

/// Whether some stack that was approved before has this file set: then it is kept already.
bool is_kept(const catalog::FileSetReference& wanted,
             const std::map<catalog::BaseId, catalog::Base>& bases) {
  for (const auto& [id, base] : bases)
    for (const catalog::BaseStack& stack : base.stacks)
      if (stack.file_set == wanted) return true;
  return false;
}

/// Those that came are the ones that the statement names, and none that is not kept is missing.
Result<void> check_file_sets(const catalog::Statement& statement,
                             const std::map<catalog::BaseId, catalog::Base>& bases,
                             const std::vector<std::string>& file_sets) {
  std::set<FileSetDigest> named;
  std::set<FileSetDigest> came;
  for (const std::string& bytes : file_sets) {
    ASSAY_ASSIGN(const catalog::FileSet set, catalog::FileSet::decode(bytes));
    came.insert(set.digest());
  }
  for (const catalog::BaseStack& stack : statement.stacks) {
    if (!stack.file_set) continue;
    named.insert(stack.file_set->digest);
    if (!came.contains(stack.file_set->digest) && !is_kept(*stack.file_set, bases))
      return Error{ErrorCode::kNotFound, "the file set " + stack.file_set->digest.text() +
                                             " that the statement names did not come with it"};
  }
  if (!std::ranges::includes(named, came))
    return Error{ErrorCode::kInvalidArgument, "a file set came that the statement does not name"};
  return ok();
}

/// The log as it is served: with all roots that lead to the newest one.
KeptLog kept_of(catalog::SignedLog log, catalog::VerifiedLog verified) {
  log.roots = verified.trust.roots;
  return KeptLog{std::make_shared<const catalog::SignedLog>(std::move(log)),
                 std::make_shared<const catalog::Catalog>(std::move(verified.catalog)),
                 std::move(verified.head), std::move(verified.trust)};
}

}  // namespace

Result<KeptLog> verify_stored(catalog::SignedLog log, const catalog::TrustRoot& trust) {
  auto verified = catalog::verify_log(log, trust);
  if (!verified)
    return std::move(verified.error())
        .with_context("the catalog in the store does not verify against the trust file");
  return kept_of(std::move(log), std::move(*verified));
}

SignedLogKeeper::SignedLogKeeper(KeptLog kept, catalog::TrustRoot trust,
                                 catalog::SigningKey mark_key, Ledger& ledger, Clock& clock)
    : trust_(std::move(trust)),
      mark_key_(std::move(mark_key)),
      ledger_(ledger),
      clock_(clock),
      kept_(std::move(kept)) {
  renew_mark(std::chrono::nanoseconds(0));
}

Result<void> SignedLogKeeper::set_trust(catalog::TrustRoot trust) {
  bool is_changed = false;
  {
    const MutexLock submitting(submitting_);
    const KeptLog before = held();
    auto verified = catalog::verify_log(*before.log, trust);
    if (!verified)
      return std::move(verified.error())
          .with_context("the catalog in the store does not verify against the new trust file");
    trust_ = std::move(trust);
    is_changed = verified->trust.roots != before.log->roots;
    if (is_changed) hold(kept_of(*before.log, std::move(*verified)));
  }
  if (is_changed && on_change_) on_change_();
  return ok();
}

KeptLog SignedLogKeeper::held() const {
  const MutexLock lock(mutex_);
  return kept_;
}

void SignedLogKeeper::hold(KeptLog next) {
  std::string mark = make_mark(next);
  const MutexLock lock(mutex_);
  kept_ = std::move(next);
  mark_ = std::move(mark);
  marked_at_ = clock_.wall_now();
}

std::string SignedLogKeeper::make_mark(const KeptLog& kept) const {
  if (kept.log->statements.empty()) return "";
  auto mark = catalog::sign_mark(kept.head, clock_.wall_now(), mark_key_);
  return mark ? std::move(*mark) : "";
}

bool SignedLogKeeper::renew_mark(std::chrono::nanoseconds age) {
  const MutexLock submitting(submitting_);
  const KeptLog kept = held();
  {
    const MutexLock lock(mutex_);
    if (!mark_.empty() && clock_.wall_now() - marked_at_ < age && marked_at_ <= clock_.wall_now())
      return false;
  }
  hold(kept);
  return !kept.log->statements.empty();
}

bool SignedLogKeeper::is_mark_trusted() const {
  const KeptLog kept = held();
  return std::ranges::any_of(kept.trust.mark_keys, [&](const catalog::PublicKey& key) {
    return key.key_id() == mark_key_.public_key().key_id();
  });
}

std::shared_ptr<const catalog::SignedLog> SignedLogKeeper::log() const {
  return held().log;
}

std::uint64_t SignedLogKeeper::sequence() const {
  const MutexLock lock(mutex_);
  return kept_.catalog->sequence();
}

std::string SignedLogKeeper::mark() const {
  const MutexLock lock(mutex_);
  return mark_;
}

Result<KeptLog> SignedLogKeeper::verify_next(const KeptLog& held,
                                             const catalog::SignedChange& change,
                                             const std::vector<std::string>& file_sets) const {
  catalog::SignedLog next = *held.log;
  if (!change.statement.empty()) next.statements.push_back(change.statement);
  if (!change.head.empty()) next.head = change.head;
  next.roots.insert(next.roots.end(), change.roots.begin(), change.roots.end());
  if (bytes_of(next) > kMaxLogBytes)
    return Error{ErrorCode::kLimitExceeded, "the catalog's log would grow beyond " +
                                                std::to_string(kMaxLogBytes >> 20) + " MiB"};
  ASSAY_ASSIGN(catalog::VerifiedLog verified, catalog::verify_log(next, trust_));
  if (verified.trust.roots.size() != next.roots.size())
    return Error{ErrorCode::kInvalidArgument,
                 "the versions of the root that came do not follow version " +
                     std::to_string(held.trust.version)};
  if (!held.log->statements.empty())
    ASSAY_TRY(catalog::check_successor(held.head, next, verified.head));
  if (verified.head.issued_at > clock_.wall_now() + kMaxClockSkew)
    return Error{ErrorCode::kUntrusted,
                 "the head is signed for a time to come: set the clock of the signing machine"};
  if (catalog::is_stale(verified.head, clock_.wall_now()))
    return Error{ErrorCode::kUntrusted, "the head that came has expired: sign another one"};
  if (!change.statement.empty())
    ASSAY_TRY(check_file_sets(verified.history.back(), held.catalog->bases(), file_sets));
  return kept_of(std::move(next), std::move(verified));
}

Result<std::uint64_t> SignedLogKeeper::submit(const Actor& actor, catalog::SignedChange change,
                                              std::vector<std::string> file_sets) {
  std::uint64_t sequence = 0;
  {
    const MutexLock submitting(submitting_);
    const KeptLog before = held();
    const auto refuse = [&](const Error& error) {
      ledger_.audit({to_unix_ns(clock_.wall_now()), actor.name, "catalog.submit",
                     "sequence " + std::to_string(before.catalog->sequence() + 1), "refused",
                     error.message, actor.peer});
    };
    auto next = verify_next(before, change, file_sets);
    if (!next) {
      refuse(next.error());
      return std::move(next.error());
    }
    sequence = next->catalog->sequence();
    CatalogEntry entry{sequence,   std::move(change.statement),   next->log->head,
                       actor.name, to_unix_ns(clock_.wall_now()), std::move(file_sets)};
    entry.roots = std::move(change.roots);
    entry.first_root = before.log->roots.size();
    entry.submitted_from = actor.peer;
    if (auto committed = ledger_.change_catalog(entry, next->catalog); !committed) {
      refuse(committed.error());
      return std::move(committed.error());
    }
    hold(std::move(*next));
  }
  if (on_change_) on_change_();
  return sequence;
}

}  // namespace assay::collector
