// SPDX-License-Identifier: Apache-2.0
#include "agent/app/catalog_keeper.h"

#include <pthread.h>

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kStoreAgainAfter{10};

/// The sequence that a log's head claims, for the message that refuses it.
std::uint64_t claimed_sequence(const catalog::SignedLog& log) {
  const auto envelope = catalog::Envelope::from_json(log.head);
  if (!envelope) return 0;
  const auto head = catalog::head_from_in_toto(envelope->payload);
  return head ? head->sequence : 0;
}

CatalogFloor floor_of(const catalog::Head& head) {
  return {head.catalog_id, head.sequence, head.last};
}

/// What no catalog of the same id may fall below, though its log does not verify any more.
catalog::Head head_of(const CatalogFloor& floor) {
  catalog::Head head;
  head.catalog_id = floor.catalog_id;
  head.sequence = floor.sequence;
  head.last = floor.last;
  return head;
}

}  // namespace

CatalogKeeper::CatalogKeeper(std::optional<catalog::TrustRoot> trust, StateDb& state,
                             const Clock& clock, Callbacks callbacks)
    : trust_(std::move(trust)), state_(state), clock_(clock), callbacks_(std::move(callbacks)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  ::pthread_setname_np(thread_.native_handle(), "assay-catalog");
}

Result<void> CatalogKeeper::load() {
  ASSAY_ASSIGN(StoredCatalog stored, state_.load_catalog());
  {
    const MutexLock lock(mutex_);
    floor_ = stored.floor;
  }
  if (stored.head.empty()) return ok();
  return accept({std::move(stored.statements), std::move(stored.head)}, true);
}

void CatalogKeeper::offer(catalog::SignedLog log) {
  (void)offers_.try_push(std::move(log));  // a full queue: the collector offers again on reconnect
}

void CatalogKeeper::set_trust(std::optional<catalog::TrustRoot> trust) {
  {
    const MutexLock lock(mutex_);
    new_trust_ = std::move(trust);
  }
  (void)offers_.try_push(std::nullopt);  // wakes the thread; a full queue does so, too
}

void CatalogKeeper::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto offer = offers_.pop(stop, kStoreAgainAfter);
    if (stop.stop_requested()) return;
    std::optional<catalog::SignedLog> newest = offer ? std::move(*offer) : unstored_;
    while (auto newer = offers_.pop(stop, std::chrono::nanoseconds(0)))
      if (*newer) newest = std::move(*newer);
    take_new_trust();  // after all wakes were taken: the next one comes for newer keys
    if (newest) consider(*newest);
  }
}

void CatalogKeeper::take_new_trust() {
  {
    const MutexLock lock(mutex_);
    if (!new_trust_) return;
    trust_ = std::move(*std::exchange(new_trust_, std::nullopt));
    held_.reset();
    held_head_.clear();
  }
  auto loaded = load();
  {
    const MutexLock lock(mutex_);
    if (loaded && held_) return;
    if (!loaded) refused_ = loaded.error().text();
  }
  callbacks_.on_trusted(std::make_shared<const catalog::Catalog>());
  if (!loaded) callbacks_.on_refused(0, loaded.error().text());
}

void CatalogKeeper::consider(const catalog::SignedLog& log) {
  if (log.head.empty() && log.statements.empty()) {
    const MutexLock lock(mutex_);
    if (!held_) return;  // an empty catalog at both ends
  }
  {
    const MutexLock lock(mutex_);
    if (held_ && log.head == held_head_) return;  // the same bytes were verified before
  }
  auto accepted = accept(log, false);
  const bool is_unstored = !accepted && accepted.error().code == ErrorCode::kUnavailable;
  if (!is_unstored) {
    unstored_.reset();
    if (!accepted) refuse(log, accepted.error().text());
    return;
  }
  const bool is_news = !unstored_ || unstored_->head != log.head;
  unstored_ = log;
  if (is_news) refuse(log, "it could not be stored: " + accepted.error().text());
}

void CatalogKeeper::refuse(const catalog::SignedLog& log, const std::string& reason) {
  {
    const MutexLock lock(mutex_);
    refused_ = reason;
  }
  callbacks_.on_refused(claimed_sequence(log), reason);
}

Result<bool> CatalogKeeper::check_not_lower(const catalog::SignedLog& log,
                                            const catalog::Head& head) {
  const MutexLock lock(mutex_);
  if (held_) ASSAY_TRY(catalog::check_successor(*held_, log, head));
  // Another catalog, with nothing held: the trust file was changed to that of a new one.
  if (!floor_ || floor_->catalog_id != head.catalog_id) return true;
  auto checked = catalog::check_successor(head_of(*floor_), log, head);
  if (!checked)
    return std::move(checked.error())
        .with_context("this node trusted a later catalog before (remove state.db to forget it)");
  return head.sequence > floor_->sequence;
}

Result<void> CatalogKeeper::accept(const catalog::SignedLog& log, bool is_stored) {
  if (!trust_)
    return Error{ErrorCode::kUntrusted, "no trust_file is configured, so no catalog is trusted"};
  ASSAY_ASSIGN(catalog::VerifiedLog verified, catalog::verify_log(log, *trust_));
  ASSAY_ASSIGN(const bool is_higher, check_not_lower(log, verified.head));
  if (!is_stored || is_higher)
    ASSAY_TRY(state_.save_catalog({log.statements, log.head, floor_of(verified.head)}));
  callbacks_.on_time(verified.head.issued_at);
  hold(std::move(verified), log.head);
  return ok();
}

void CatalogKeeper::hold(catalog::VerifiedLog verified, const std::string& head) {
  {
    const MutexLock lock(mutex_);
    held_ = verified.head;
    floor_ = floor_of(verified.head);
    held_head_ = head;
    refused_.clear();
  }
  callbacks_.on_trusted(std::make_shared<const catalog::Catalog>(std::move(verified.catalog)));
}

CatalogStatus CatalogKeeper::status() const {
  const MutexLock lock(mutex_);
  CatalogStatus status;
  status.refused = refused_;
  if (!held_) return status;
  status.id = held_->catalog_id;
  status.sequence = held_->sequence;
  status.head = held_->last;
  status.expires = held_->expires_at;
  status.is_stale = catalog::is_stale(*held_, clock_.wall_now());
  return status;
}

}  // namespace assay::agent
