// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/exact_desk.h"

#include <malloc.h>

#include <utility>

namespace assay::agent {
namespace {

constexpr BootTime kLookInterval = std::chrono::seconds(5);
constexpr BootTime kSoon = std::chrono::minutes(1);
constexpr BootTime kLater = std::chrono::minutes(10);
constexpr std::uint64_t kLargeStream = 4U << 20;  // then checking leaves megabytes in free lists

}  // namespace

ExactDesk::ExactDesk(Ports ports, const ExactOptions& options)
    : ports_(std::move(ports)),
      prover_(ports_.prover),
      options_(options),
      worker_(std::make_unique<WorkerPool>("assay-exact", 1, WorkerPriority::kIdle,
                                           options.max_waiting)) {}

ExactDesk::~ExactDesk() {
  worker_.reset();
}

void ExactDesk::set_options(bool is_on, std::chrono::milliseconds interval,
                            const image::FingerprintLimits& limits) {
  const MutexLock lock(mutex_);
  options_.is_on = is_on;
  options_.interval = interval;
  options_.limits = limits;
}

ExactCounts ExactDesk::counts() const {
  const MutexLock lock(mutex_);
  ExactCounts counts = counts_;
  counts.waiting = waiting_.size();
  return counts;
}

void ExactDesk::on_tick() {
  {
    const MutexLock lock(mutex_);
    const BootTime now = ports_.clock.boot_now();
    if (!options_.is_on || now < next_look_) return;
    next_look_ = now + kLookInterval;
  }
  ports_.find_layers([this](const LayerRef& ref, bool is_exact) { return wants(ref, is_exact); },
                     [this](const std::vector<LayerTask>& layers) { take(layers); });
}

bool ExactDesk::wants(const LayerRef& ref, bool is_exact) {
  const MutexLock lock(mutex_);
  if (waiting_.contains(ref)) return false;
  const BootTime now = ports_.clock.boot_now();
  // One that is known from before a restart has its time from now on.
  const auto [known, is_new] = checked_.try_emplace(ref, Checked{now, Retry::kAtInterval});
  if (is_new && is_exact) return false;
  if (is_new) {
    checked_.erase(known);
    return true;
  }
  const BootTime age = now - known->second.last;
  if (known->second.retry == Retry::kSoon) return age >= kSoon;
  if (known->second.retry == Retry::kLater) return age >= kLater;
  return options_.interval.count() != 0 && age >= options_.interval;
}

void ExactDesk::take(const std::vector<LayerTask>& layers) {
  const MutexLock lock(mutex_);
  for (const LayerTask& task : layers) {
    const LayerRef ref = ref_of(task.layer);
    if (!waiting_.insert(ref).second) continue;
    const bool is_taken =
        worker_->try_submit([this, task](const std::stop_token& stop) { run(task, stop); });
    if (!is_taken) waiting_.erase(ref);
  }
}

void ExactDesk::run(const LayerTask& task, const std::stop_token& stop) {
  auto outcome = check_and_tell(task, stop);
  if (stop.stop_requested()) return;
  if (!outcome && ports_.on_failure) ports_.on_failure(task, outcome.error());
  const LayerRef ref = ref_of(task.layer);
  const MutexLock lock(mutex_);
  waiting_.erase(ref);
  checked_[ref] = {ports_.clock.boot_now(), retry_of(outcome)};
  if (checked_.size() > options_.max_remembered) forget_old();
}

/// A claim may still come. What is too large, or has a stream that cannot be read, stays so, and
/// finding that out again may cost reading all of it.
ExactDesk::Retry ExactDesk::retry_of(const Result<ExactOutcome>& outcome) {
  if (!outcome)
    return outcome.error().code == ErrorCode::kLimitExceeded ? Retry::kAtInterval : Retry::kLater;
  const bool is_unclaimed =
      outcome->status == ExactStatus::kNoSource && outcome->source == StreamPlace::Kind::kNone;
  return is_unclaimed ? Retry::kSoon : Retry::kAtInterval;
}

/// Those of layers that nobody runs on come again when somebody does.
void ExactDesk::forget_old() {
  BootTime oldest = BootTime::max();
  for (const auto& [ref, checked] : checked_)
    oldest = std::min(oldest, checked.last);
  const BootTime half = oldest + (ports_.clock.boot_now() - oldest) / 2;
  std::erase_if(checked_, [&](const auto& entry) { return entry.second.last <= half; });
}

Result<ExactOutcome> ExactDesk::check(const LayerTask& task, const std::stop_token& stop) {
  return check_and_tell(task, stop);
}

Result<ExactOutcome> ExactDesk::check_and_tell(const LayerTask& task, const std::stop_token& stop) {
  image::FingerprintLimits limits;
  {
    const MutexLock lock(mutex_);
    limits = options_.limits;
  }
  const BootTime began = ports_.clock.boot_now();
  auto proof = prover_.prove(task, limits, stop);
  if (!proof) {
    const MutexLock lock(mutex_);
    if (proof.error().code != ErrorCode::kCancelled) ++counts_.failed;
    counts_.busy += ports_.clock.boot_now() - began;
    return std::move(proof.error());
  }
  ExactOutcome& outcome = proof->outcome;
  outcome.took = ports_.clock.boot_now() - began;
  count(outcome);
  if (outcome.stream_bytes > kLargeStream) ::malloc_trim(0);
  const LayerRef ref = ref_of(task.layer);
  keep(ref, *proof);
  if (outcome.status == ExactStatus::kNoSource)
    ports_.on_unproven({ref, "no tar stream: " + outcome.reason});
  if (outcome.status == ExactStatus::kDiffers) {
    ports_.on_mismatch({ref, difference_text(outcome)});
    ports_.on_changed(task);
  }
  return std::move(outcome);
}

/// A proof belongs to the bytes that were known of the layer; a difference ends it.
void ExactDesk::keep(const LayerRef& ref, const Proof& proof) {
  if (!proof.key) return;
  auto known = ports_.cache.find(*proof.key);
  if (known) {
    catalog::LayerEvidence& evidence = known->evidence;
    const std::optional<DiffId> before = std::exchange(evidence.exact, std::nullopt);
    if (proof.exact && evidence.content == proof.exact->content &&
        evidence.shape == proof.exact->shape)
      evidence.exact = proof.exact->diff_id;
    // A full queue costs a check after the next restart, no more.
    if (evidence.exact != before) (void)ports_.cache.store(*proof.key, *known);
  }
  ports_.on_proof(ref, proof.exact);
}

void ExactDesk::count(const ExactOutcome& outcome) {
  const MutexLock lock(mutex_);
  counts_.busy += outcome.took;
  counts_.bytes += outcome.stream_bytes;
  counts_.exact += outcome.status == ExactStatus::kExact ? 1 : 0;
  counts_.differs += outcome.status == ExactStatus::kDiffers ? 1 : 0;
  counts_.no_source += outcome.status == ExactStatus::kNoSource ? 1 : 0;
}

}  // namespace assay::agent
