// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/layer_rewalker.h"

#include <malloc.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "agent/identify/layer_dialect.h"
#include "common/image/directory.h"

namespace assay::agent {
namespace {

constexpr int kWalkAttempts = 3;              // of a layer that changes while it is walked
constexpr std::uint64_t kManyEntries = 1000;  // then the walk leaves megabytes in free lists

/// Somebody was at work in it.
bool is_unsteady(const Error& error) {
  return error.code == ErrorCode::kNotFound || error.code == ErrorCode::kCorrupt;
}

/// Else the limits were lowered, and that a walk goes beyond them says nothing of the layer.
bool was_within(const image::FingerprintLimits& limits, const image::NodeRecord& record) {
  std::set<std::uint64_t> linked;  // inodes of several names are read once
  std::uint64_t bytes = 0;
  for (const image::RecordEntry& entry : record.entries)
    if (entry.digest && (entry.links < 2 || linked.insert(entry.inode).second)) bytes += entry.size;
  return record.entries.size() <= limits.max_entries && bytes <= limits.max_content_bytes;
}

}  // namespace

LayerRewalker::LayerRewalker(Ports ports, const RewalkOptions& options)
    : ports_(std::move(ports)),
      options_(options),
      next_round_(ports_.clock.boot_now() + options.interval),
      worker_(std::make_unique<WorkerPool>("assay-rewalk", 1, WorkerPriority::kIdle,
                                           options.max_waiting)) {}

LayerRewalker::~LayerRewalker() {
  worker_.reset();
}

void LayerRewalker::on_start(const LayerTask& task) {
  queue(task, Reason::kStart);
}

void LayerRewalker::on_tick() {
  {
    const MutexLock lock(mutex_);
    const BootTime now = ports_.clock.boot_now();
    if (options_.interval.count() == 0 || now < next_round_) return;
    next_round_ = now + options_.interval;
  }
  round(Reason::kRound);
}

void LayerRewalker::walk_all() {
  round(Reason::kDemand);
}

void LayerRewalker::walk_now(const LayerTask& task) {
  queue(task, Reason::kDemand);
}

void LayerRewalker::round(Reason reason) {
  ports_.find_running(
      [this, reason](const std::vector<LayerTask>& layers) { take(layers, reason); });
}

void LayerRewalker::take(const std::vector<LayerTask>& layers, Reason reason) {
  {
    const MutexLock lock(mutex_);
    std::set<LayerRef> running;
    for (const LayerTask& task : layers)
      running.insert(ref_of(task.layer));
    const BootTime now = ports_.clock.boot_now();
    std::erase_if(walked_, [&](const auto& entry) {
      return !running.contains(entry.first) && is_due(entry.second, now);
    });
  }
  for (const LayerTask& task : layers)
    queue(task, reason);
}

void LayerRewalker::set_interval(std::chrono::milliseconds interval) {
  const MutexLock lock(mutex_);
  if (options_.interval == interval) return;
  options_.interval = interval;
  next_round_ = ports_.clock.boot_now() + interval;
}

void LayerRewalker::set_limits(const image::FingerprintLimits& limits) {
  const MutexLock lock(mutex_);
  options_.limits = limits;
}

RewalkCounts LayerRewalker::counts() const {
  const MutexLock lock(mutex_);
  RewalkCounts counts = counts_;
  counts.waiting = waiting_.size();
  return counts;
}

bool LayerRewalker::is_due(const Walked& walked, BootTime now) const {
  // Rounds come an interval apart, and what they find to do a little sooner or later.
  return walked.last == BootTime{} ||
         now - walked.last >= options_.interval - options_.interval / 8;
}

void LayerRewalker::queue(const LayerTask& task, Reason reason) {
  // Generation 0 never proves a match, and a container writes to its own root.
  if (task.is_root_directory || task.layer.generation == 0) return;
  const LayerRef ref = ref_of(task.layer);
  const MutexLock lock(mutex_);
  if (reason != Reason::kDemand) {
    if (options_.interval.count() == 0) return;
    const auto known = walked_.find(ref);
    if (known != walked_.end() && !is_due(known->second, ports_.clock.boot_now())) return;
  }
  if (!waiting_.insert(ref).second) return;
  const bool is_taken = worker_->try_submit(
      [this, task, reason](const std::stop_token& stop) { walk(task, reason, stop); });
  if (is_taken)
    walked_[ref].last = ports_.clock.boot_now();
  else
    waiting_.erase(ref);
}

void LayerRewalker::walk(const LayerTask& task, Reason reason, const std::stop_token& stop) {
  const BootTime began = ports_.clock.boot_now();
  auto done = walk_layer(task, reason, stop);
  if (stop.stop_requested()) return;
  if (!done && ports_.on_failure) ports_.on_failure(task, done.error());
  const MutexLock lock(mutex_);
  waiting_.erase(ref_of(task.layer));
  counts_.busy += ports_.clock.boot_now() - began;
  if (!done) ++counts_.failed;
}

Result<void> LayerRewalker::walk_layer(const LayerTask& task, Reason reason,
                                       const std::stop_token& stop) {
  auto opened = ports_.opener.open(task.layer, task.start);
  if (!opened) return gone(task, opened.error());
  const Layer& layer = **opened;
  {
    const MutexLock lock(mutex_);
    walked_[ref_of(task.layer)].instance = layer.instance();
    if (!layer.is_cacheable()) ++counts_.unrecorded;
  }
  if (!layer.is_cacheable()) return ok();
  return walk_open(task, layer, reason, stop);
}

/// A layer that was there before and a run stands on. The auditor finds out whether it still does.
/// Any error but kNotFound says that nobody could look.
Result<void> LayerRewalker::gone(const LayerTask& task, const Error& error) {
  std::optional<catalog::LayerInstance> instance;
  {
    const MutexLock lock(mutex_);
    instance = walked_[ref_of(task.layer)].instance;
  }
  if (error.code != ErrorCode::kNotFound || !instance) return error;
  ASSAY_ASSIGN(const std::optional<KeptRecord> kept, ports_.records.find_record(*instance));
  if (!kept) return error;
  return note(task, *instance, *kept, {kept->record, add_of_whole(kept->tampered, kRemoved)});
}

/// Of a layer that had a record it is a change. One that is too large for any (`is_over`, or never
/// had one) is not read again in vain until it is identified anew.
Result<void> LayerRewalker::too_large(const LayerTask& task, const catalog::LayerInstance& instance,
                                      const PastRecord& past, bool is_over, const Error& error) {
  KeptRecord now{std::string(kTooLargeMark), past.tampered()};
  image::FingerprintLimits limits;
  {
    const MutexLock lock(mutex_);
    limits = options_.limits;
  }
  if (past.decoded && !is_over && !was_within(limits, *past.decoded)) return error;
  if (!past.decoded) {
    ASSAY_TRY(ports_.records.keep_record(instance, now));
    return error;
  }
  if (!is_over) now.record = past.kept->record;
  now.tampered = add_of_whole(now.tampered, kGrown);
  return note(task, instance, *past.kept, now);
}

void LayerRewalker::still_too_large(const LayerTask& task, const std::string& tampered) {
  {
    const MutexLock lock(mutex_);
    ++counts_.failed;  // still not looked at
  }
  tell(task, {tampered, 0, 0});
}

/// Keeps what no comparison of paths can say, when it is not known yet.
Result<void> LayerRewalker::note(const LayerTask& task, const catalog::LayerInstance& instance,
                                 const KeptRecord& kept, const KeptRecord& now) {
  const bool is_news = now.tampered != kept.tampered;
  if (is_news || now.record != kept.record) ASSAY_TRY(ports_.records.keep_record(instance, now));
  tell(task, {now.tampered, is_news ? 1U : 0U, 0});
  return ok();
}

Result<void> LayerRewalker::walk_open(const LayerTask& task, const Layer& layer, Reason reason,
                                      const std::stop_token& stop) {
  ASSAY_ASSIGN(const PastRecord past, find_past(ports_.records, layer.instance()));
  if (past.is_too_large()) {
    still_too_large(task, past.tampered());
    return ok();
  }
  const image::NodeRecord* const before = past.decoded ? &*past.decoded : nullptr;
  if (before == nullptr && !may_begin_record(task, reason)) return ok();
  bool is_over = false;
  auto after = record(layer, before ? before->dialect : dialect_of(task), before, is_over, stop);
  if (!after && after.error().code == ErrorCode::kLimitExceeded)
    return too_large(task, layer.instance(), past, is_over, after.error());
  if (!after) return std::move(after.error());
  auto outcome = keep_record(ports_.records, layer.instance(), past, *after);
  if (!outcome && outcome.error().code == ErrorCode::kLimitExceeded)  // once it is encoded
    return too_large(task, layer.instance(), past, true, outcome.error());
  if (!outcome) return std::move(outcome.error());
  tell(task, *outcome);
  if (after->entries.size() > kManyEntries) {
    *after = {};
    ::malloc_trim(0);
  }
  return ok();
}

/// A layer that is identified just now gets its record with its content; one that lost it (the
/// table is bounded) gets a new one by the second round that finds none.
bool LayerRewalker::may_begin_record(const LayerTask& task, Reason reason) {
  const MutexLock lock(mutex_);
  Walked& walked = walked_[ref_of(task.layer)];
  return reason != Reason::kStart && walked.missing++ > 0;
}

Result<image::NodeRecord> LayerRewalker::record(const Layer& layer, image::Dialect dialect,
                                                const image::NodeRecord* before, bool& is_over,
                                                const std::stop_token& stop) {
  image::WalkOptions options;
  image::RecordLimits limits;
  options.dialect = dialect;
  options.scope = image::Scope::kContent;
  {
    const MutexLock lock(mutex_);
    options.limits = options_.limits;
    limits = options_.record_limits;
  }
  limits.ends_walk = true;
  for (int attempt = 1;; ++attempt) {
    image::NodeRecorder recorder(ports_.clock.wall_now(), before, limits);
    options.recorder = &recorder;
    auto found = image::fingerprint_directory(layer.fd(), options, stop);
    is_over = recorder.is_over();
    if (!found && is_unsteady(found.error()) && attempt < kWalkAttempts) continue;
    if (!found) return std::move(found.error());
    ASSAY_ASSIGN(image::NodeRecord record, recorder.take());
    record.place = place_of(layer.fd());
    const MutexLock lock(mutex_);
    ++counts_.walks;
    counts_.entries += record.entries.size();
    counts_.files_read += recorder.files_read();
    return record;
  }
}

void LayerRewalker::tell(const LayerTask& task, const RecordOutcome& outcome) {
  {
    const MutexLock lock(mutex_);
    counts_.changed += outcome.changed;
    counts_.touched += outcome.touched;
    walked_[ref_of(task.layer)].missing = 0;
  }
  if (!outcome.tampered.empty())
    ports_.on_tampering({ref_of(task.layer), outcome.tampered, outcome.changed != 0});
}

}  // namespace assay::agent
