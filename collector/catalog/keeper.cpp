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

}  // namespace

Result<KeptLog> verify_stored(catalog::SignedLog log, const catalog::TrustRoot& trust) {
  auto verified = catalog::verify_log(log, trust);
  if (!verified)
    return std::move(verified.error())
        .with_context("the catalog in the store does not verify against the trust file");
  return KeptLog{std::make_shared<const catalog::SignedLog>(std::move(log)),
                 std::make_shared<const catalog::Catalog>(std::move(verified->catalog)),
                 verified->head};
}

SignedLogKeeper::SignedLogKeeper(KeptLog kept, catalog::TrustRoot trust, Ledger& ledger,
                                 Clock& clock)
    : trust_(std::move(trust)), ledger_(ledger), clock_(clock), kept_(std::move(kept)) {}

Result<void> SignedLogKeeper::set_trust(catalog::TrustRoot trust) {
  const MutexLock submitting(submitting_);
  auto verified = catalog::verify_log(*held().log, trust);
  if (!verified)
    return std::move(verified.error())
        .with_context("the catalog in the store does not verify against the new trust file");
  trust_ = std::move(trust);
  return ok();
}

KeptLog SignedLogKeeper::held() const {
  const MutexLock lock(mutex_);
  return kept_;
}

std::shared_ptr<const catalog::SignedLog> SignedLogKeeper::log() const {
  return held().log;
}

std::uint64_t SignedLogKeeper::sequence() const {
  const MutexLock lock(mutex_);
  return kept_.catalog->sequence();
}

Result<KeptLog> SignedLogKeeper::verify_next(const KeptLog& held, const std::string& statement,
                                             const std::string& head,
                                             const std::vector<std::string>& file_sets) const {
  catalog::SignedLog next = *held.log;
  next.statements.push_back(statement);
  next.head = head;
  if (bytes_of(next) > kMaxLogBytes)
    return Error{ErrorCode::kLimitExceeded, "the catalog's log would grow beyond " +
                                                std::to_string(kMaxLogBytes >> 20) + " MiB"};
  ASSAY_ASSIGN(catalog::VerifiedLog verified, catalog::verify_log(next, trust_));
  if (!held.log->statements.empty())
    ASSAY_TRY(catalog::check_successor(held.head, next, verified.head));
  if (verified.head.issued_at > clock_.wall_now() + kMaxClockSkew)
    return Error{ErrorCode::kUntrusted,
                 "the head is signed for a time to come: set the clock of the signing machine"};
  ASSAY_TRY(check_file_sets(verified.history.back(), held.catalog->bases(), file_sets));
  return KeptLog{std::make_shared<const catalog::SignedLog>(std::move(next)),
                 std::make_shared<const catalog::Catalog>(std::move(verified.catalog)),
                 verified.head};
}

Result<std::uint64_t> SignedLogKeeper::submit(const std::string& actor, std::string statement,
                                              std::string head,
                                              std::vector<std::string> file_sets) {
  const MutexLock submitting(submitting_);
  const auto refuse = [&](const Error& error) {
    ledger_.audit({to_unix_ns(clock_.wall_now()), actor, "catalog.submit",
                   "sequence " + std::to_string(sequence() + 1), "refused", error.message});
  };
  const KeptLog before = held();
  auto next = verify_next(before, statement, head, file_sets);
  if (!next) {
    refuse(next.error());
    return std::move(next.error());
  }
  const std::uint64_t sequence = next->catalog->sequence();
  const CatalogEntry entry{sequence, std::move(statement),          std::move(head),
                           actor,    to_unix_ns(clock_.wall_now()), std::move(file_sets)};
  if (auto committed = ledger_.change_catalog(entry, next->catalog); !committed) {
    refuse(committed.error());
    return std::move(committed.error());
  }
  {
    const MutexLock lock(mutex_);
    kept_ = std::move(*next);
  }
  if (on_change_) on_change_();
  return sequence;
}

}  // namespace assay::collector
