// SPDX-License-Identifier: Apache-2.0
#include "agent/app/catalog_keeper.h"

#include <pthread.h>

#include <algorithm>

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kStoreAgainAfter{10};

/// The sequence that a log's head claims, for the message that refuses it.
std::uint64_t claimed_sequence(const std::string& head_envelope) {
  const auto envelope = catalog::Envelope::from_json(head_envelope);
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
    : pinned_(std::move(trust)), state_(state), clock_(clock), callbacks_(std::move(callbacks)) {
  trust_ = pinned_;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  ::pthread_setname_np(thread_.native_handle(), "assay-catalog");
}

Result<void> CatalogKeeper::load() {
  std::uint64_t sequence = 0;  // as far as it is known
  auto loaded = load_stored(sequence);
  if (!loaded) {
    loaded.error() = std::move(loaded.error()).with_context("the stored catalog");
    note_refusal(sequence, loaded.error().text());
  }
  return loaded;
}

Result<void> CatalogKeeper::load_stored(std::uint64_t& sequence) {
  ASSAY_ASSIGN(StoredCatalog stored, state_.load_catalog());
  sequence = claimed_sequence(stored.head);
  pin(pinned_, stored.roots);
  {
    const MutexLock lock(mutex_);
    floor_ = stored.floor;
  }
  if (stored.head.empty()) return ok();
  ASSAY_TRY(accept({std::move(stored.statements), std::move(stored.head)}, true));
  if (stored.mark.empty()) return ok();
  auto mark = check_mark(stored.mark);
  if (!mark) return ok();  // over, or of another root by now: then the catalog is stale
  const MutexLock lock(mutex_);
  mark_ = *mark;
  mark_bytes_ = std::move(stored.mark);
  return ok();
}

void CatalogKeeper::pin(std::optional<catalog::TrustRoot> trust,
                        const std::vector<std::string>& roots) {
  if (trust)
    // Where they do not follow, the person who changed the trust file has the last word.
    if (auto extended = catalog::extend_trust(*trust, roots)) trust = std::move(*extended);
  const MutexLock lock(mutex_);
  trust_ = std::move(trust);
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
    std::optional<catalog::SignedLog> newest = offer ? std::nullopt : unstored_;
    std::string mark;
    const auto take = [&](std::optional<catalog::SignedLog>& one) {
      if (!one) return;
      if (!one->mark.empty()) mark = std::move(one->mark);
      const bool is_mark_alone = !mark.empty() && one->head.empty() && one->statements.empty();
      if (!is_mark_alone) newest = std::move(*one);
    };
    if (offer) take(*offer);
    while (auto newer = offers_.pop(stop, std::chrono::nanoseconds(0)))
      take(*newer);
    take_new_trust();  // after all wakes were taken: the next one comes for newer keys
    if (newest) consider(*newest);
    if (!mark.empty()) consider_mark(mark);
  }
}

void CatalogKeeper::take_new_trust() {
  {
    const MutexLock lock(mutex_);
    if (!new_trust_) return;
    pinned_ = std::move(*std::exchange(new_trust_, std::nullopt));
    held_.reset();
    held_head_.clear();
    mark_.reset();
    mark_bytes_.clear();
  }
  auto loaded = load();
  {
    const MutexLock lock(mutex_);
    if (loaded && held_) return;
  }
  callbacks_.on_trusted(std::make_shared<const catalog::Catalog>());
  if (!loaded) callbacks_.on_refused(status().refused_sequence, loaded.error().text());
}

void CatalogKeeper::consider(const catalog::SignedLog& log) {
  if (log.head.empty() && log.statements.empty()) {
    const MutexLock lock(mutex_);
    if (!held_) return;  // an empty catalog at both ends
  }
  {
    const MutexLock lock(mutex_);
    const bool has_new_root = trust_ && log.roots.size() > trust_->roots.size();
    // The same bytes were verified before.
    if (held_ && log.head == held_head_ && !has_new_root) return refused_.clear();
  }
  auto accepted = accept(log, false);
  const bool is_unstored = !accepted && accepted.error().code == ErrorCode::kUnavailable;
  if (!is_unstored) {
    unstored_.reset();
    if (!accepted) refuse(claimed_sequence(log.head), accepted.error().text());
    return;
  }
  const bool is_news = !unstored_ || unstored_->head != log.head;
  unstored_ = log;
  if (is_news)
    refuse(claimed_sequence(log.head), "it could not be stored: " + accepted.error().text());
}

void CatalogKeeper::consider_mark(const std::string& envelope) {
  {
    const MutexLock lock(mutex_);
    // Nobody asks for marks here; or nothing is held that one could be of.
    if (!trust_ || trust_->mark_keys.empty() || !held_ || envelope == mark_bytes_) return;
  }
  auto mark = check_mark(envelope);
  if (!mark) return refuse(status().sequence, "freshness mark: " + mark.error().text());
  state_.put_catalog_mark(envelope);
  callbacks_.on_time(mark->issued_at);
  const MutexLock lock(mutex_);
  mark_ = std::move(*mark);
  mark_bytes_ = envelope;
  if (refused_.starts_with("freshness mark")) refused_.clear();
}

Result<catalog::Head> CatalogKeeper::check_mark(const std::string& envelope) const {
  const auto untrusted = [](std::string why) {
    return Error{ErrorCode::kUntrusted, std::move(why)};
  };
  const MutexLock lock(mutex_);
  ASSAY_ASSIGN(catalog::Head mark, catalog::verify_mark(envelope, *trust_));
  if (mark.catalog_id != held_->catalog_id) return untrusted("it is of another catalog");
  if (mark.sequence != held_->sequence || mark.last != held_->last)
    return untrusted("it is of entry " + std::to_string(mark.sequence) + ", entry " +
                     std::to_string(held_->sequence) + " is the last one held here");
  if (mark_ && mark.issued_at < mark_->issued_at) return untrusted("it is older than the one held");
  if (mark.expires_at <= clock_.wall_now())
    return untrusted("it was over on " + to_rfc3339(mark.expires_at, 0));
  return mark;
}

void CatalogKeeper::refuse(std::uint64_t sequence, const std::string& reason) {
  note_refusal(sequence, reason);
  callbacks_.on_refused(sequence, reason);
}

void CatalogKeeper::note_refusal(std::uint64_t sequence, const std::string& reason) {
  const MutexLock lock(mutex_);
  refused_ = reason;
  refused_sequence_ = sequence;
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
  std::optional<catalog::TrustRoot> trust;
  std::string mark;
  {
    const MutexLock lock(mutex_);
    trust = trust_;
    mark = mark_bytes_;
  }
  if (!trust)
    return Error{ErrorCode::kUntrusted, "no trust_file is configured, so no catalog is trusted"};
  ASSAY_ASSIGN(catalog::VerifiedLog verified, catalog::verify_log(log, *trust));
  ASSAY_ASSIGN(const bool is_higher, check_not_lower(log, verified.head));
  if (!is_stored && catalog::is_stale(verified.head, clock_.wall_now()))
    return Error{ErrorCode::kUntrusted, "its head expired on " +
                                            to_rfc3339(verified.head.expires_at, 0) +
                                            ": sign a new one (assay log renew)"};
  if (!is_stored || is_higher)
    ASSAY_TRY(state_.save_catalog({log.statements, log.head, floor_of(verified.head),
                                   verified.trust.roots, std::move(mark)}));
  callbacks_.on_time(verified.head.issued_at);
  hold(std::move(verified), log.head);
  return ok();
}

void CatalogKeeper::hold(catalog::VerifiedLog verified, const std::string& head) {
  {
    const MutexLock lock(mutex_);
    if (held_ && held_->last != verified.head.last) {  // the mark was of what was held before
      mark_.reset();
      mark_bytes_.clear();
    }
    held_ = verified.head;
    trust_ = std::move(verified.trust);
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
  status.refused_sequence = refused_sequence_;
  if (!held_) return status;
  status.id = held_->catalog_id;
  status.sequence = held_->sequence;
  status.head = held_->last;
  status.expires = held_->expires_at;
  status.root_version = trust_->version;
  // Told as nothing while something is refused: then it is sent again, and may be taken back.
  if (refused_.empty()) status.state = catalog::held_state({{}, held_head_, trust_->roots, ""});
  const WallTime now = clock_.wall_now();
  if (catalog::is_stale(*held_, now))
    status.stale_reason = "the head expired on " + to_rfc3339(held_->expires_at, 0);
  if (!trust_->mark_keys.empty()) {
    if (mark_) status.expires = std::min(held_->expires_at, mark_->expires_at);
    if (status.stale_reason.empty() && !mark_)
      status.stale_reason = "no freshness mark of the collector is held";
    if (status.stale_reason.empty() && mark_->expires_at <= now)
      status.stale_reason =
          "the collector's freshness mark was over on " + to_rfc3339(mark_->expires_at, 0);
  }
  status.is_stale = !status.stale_reason.empty();
  return status;
}

}  // namespace assay::agent
