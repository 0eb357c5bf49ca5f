// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/layer_identifier.h"

#include <malloc.h>
#include <sys/stat.h>

#include <utility>

#include "agent/core/run_identity.h"
#include "agent/identify/layer_dialect.h"
#include "agent/identify/record_keeping.h"
#include "common/about/layer_about_reader.h"
#include "common/base/encoding.h"
#include "common/image/fingerprint.h"

namespace assay::agent {
namespace {

constexpr std::uint64_t kMaxHeld = 64;  // directories kept open while they wait for content
constexpr std::size_t kMaxGapBytes = 200;
constexpr std::uint64_t kSmallLayerBytes = 64U << 10;
constexpr std::uint64_t kManyEntries = 1000;
// Texts are read into memory; a database is not, it is read page by page.
constexpr about::ReaderLimits kAboutLimits{16ULL << 20, 256ULL << 20, 1024};

constexpr const char* kServedByProgram =
    "fuse-overlayfs serves this root, a program that may show other bytes than the layer's";

// ovl_config.redirect_mode (fs/overlayfs/params.h): these two follow redirects in lower layers.
constexpr std::uint32_t kRedirectFollow = 1;
constexpr std::uint32_t kRedirectOn = 3;

/// Whether the merged view may show other bytes than the directory holds.
bool is_capped(const LayerTask& task, const image::LayerFingerprint& fingerprint) {
  if (task.is_root_directory || task.start.other_stack == OtherStack::kAufs) return false;
  if (task.start.other_stack == OtherStack::kFuseOverlay) return true;
  const OverlayOptions& overlay = task.start.overlay;
  if (fingerprint.has_redirects || task.layer.is_data_only || overlay.data_only_layers > 0)
    return true;
  // Without CAP_SYS_ADMIN trusted.* cannot be read: absent marks prove nothing then.
  const bool follows = overlay.metacopy || overlay.redirect_mode == kRedirectFollow ||
                       overlay.redirect_mode == kRedirectOn;
  return !fingerprint.deletions && follows;
}

std::string gap_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound:
      return "the layer was gone before it could be read";
    case ErrorCode::kPermissionDenied:
      return "no permission: " + escape_untrusted(error.text(), kMaxGapBytes);
    default:
      return escape_untrusted(error.text(), kMaxGapBytes);
  }
}

}  // namespace

LayerIdentifier::LayerIdentifier(LayerOpener& opener, LayerCache& cache, IdentifierOptions options)
    : opener_(opener),
      cache_(cache),
      options_(options),
      limits_(options.limits),
      content_(std::make_unique<WorkerPool>(
          "assay-content", options.content_threads,
          options.content_is_idle ? WorkerPriority::kIdle : WorkerPriority::kNormal,
          options.max_waiting)),
      shape_(std::make_unique<WorkerPool>("assay-shape", options.shape_threads,
                                          WorkerPriority::kNormal, options.max_waiting)) {}

LayerIdentifier::~LayerIdentifier() {
  shape_.reset();
  content_.reset();
}

std::optional<LayerIdentifier::MemoKey> LayerIdentifier::key_of(const LayerTask& task) {
  // Generation 0 never proves a match; a live root changes; a foreign user namespace needs its map.
  if (task.layer.generation == 0 || task.is_root_directory) return std::nullopt;
  if (!task.start.in_host_user_namespace && !task.layer.is_id_mapped) return std::nullopt;
  return MemoKey{ref_of(task.layer), overlay_options_of(task)};
}

LayerResult LayerIdentifier::result_for(const LayerTask& task, const Known& known) {
  LayerResult result;
  result.ref = ref_of(task.layer);
  result.layer.instance = known.instance;
  result.layer.evidence = known.layer.evidence;
  result.layer.name = task.is_root_directory ? "/" : task.layer.name;
  result.layer.is_injected = known.layer.is_injected && task.is_top;
  result.layer.entries = known.layer.entries;
  result.layer.content_bytes = known.layer.content_bytes;
  result.layer.about = known.layer.about;
  result.is_final = known.is_final;
  return result;
}

std::optional<LayerResult> LayerIdentifier::recall(const LayerTask& task) {
  const auto key = key_of(task);
  if (!key) return std::nullopt;
  const MutexLock lock(mutex_);
  const auto found = memory_.find(*key);
  if (found == memory_.end()) return std::nullopt;
  by_use_.splice(by_use_.end(), by_use_, found->second.order);
  return result_for(task, found->second.known);
}

void LayerIdentifier::identify(LayerTask task, Callback on_result) {
  JobPtr job;
  bool is_new = true;
  {
    const MutexLock lock(mutex_);
    const auto key = key_of(task);
    if (key) {
      JobPtr& slot = running_[*key];
      is_new = slot == nullptr;
      if (is_new) slot = std::make_shared<Job>(task);
      job = slot;
    } else {
      job = std::make_shared<Job>(task);
    }
    if (is_new) job->key = key;
    // Under both mutexes: finish() takes the job out of the table before its last delivery.
    const MutexLock job_lock(job->mutex);
    job->subscribers.push_back({std::move(task), std::move(on_result), false});
  }
  if (is_new) {
    pending_.fetch_add(1);
    if (!shape_->try_submit([this, job](const std::stop_token& stop) { run_shape(job, stop); }))
      give_up(job, {ErrorCode::kLimitExceeded, "too many layers wait to be identified"});
  } else {
    // What is known already is told at once; nothing known means that the first rung will tell.
    (void)shape_->try_submit([this, job](const std::stop_token&) { deliver(job); });
  }
}

void LayerIdentifier::on_tampering(const LayerTampering& tampering) {
  const MutexLock lock(mutex_);
  for (auto found = memory_.lower_bound(MemoKey{tampering.ref, ""});
       found != memory_.end() && found->first.ref == tampering.ref; ++found) {
    found->second.known.layer.evidence.tampered = tampering.tampered;
    found->second.known.layer.evidence.exact.reset();
  }
}

void LayerIdentifier::on_proof(const LayerRef& ref, const std::optional<LayerExact>& exact) {
  const MutexLock lock(mutex_);
  for (auto found = memory_.lower_bound(MemoKey{ref, ""});
       found != memory_.end() && found->first.ref == ref; ++found) {
    catalog::LayerEvidence& evidence = found->second.known.layer.evidence;
    evidence.exact.reset();
    if (exact && evidence.content == exact->content && evidence.shape == exact->shape &&
        evidence.tampered.empty())
      evidence.exact = exact->diff_id;
  }
}

void LayerIdentifier::set_limits(const image::FingerprintLimits& limits) {
  const MutexLock lock(mutex_);
  limits_ = limits;
}

std::uint64_t LayerIdentifier::pending() const {
  return pending_.load();
}

Result<void> LayerIdentifier::prepare(Job& job) {
  if (job.layer) return ok();
  auto opened = job.task.is_root_directory ? opener_.open_root(job.task.start)
                                           : opener_.open(job.task.layer, job.task.start);
  if (!opened) return std::move(opened.error());
  job.layer = std::move(*opened);
  if (!is_recorded(job)) return ok();
  auto tampered = options_.records->find_tampered(job.layer->instance());
  // Not known is not the same as not changed.
  if (!tampered) {
    job.layer.reset();
    return std::move(tampered.error()).with_context("the record of the layer");
  }
  job.tampered = std::move(*tampered);
  return ok();
}

bool LayerIdentifier::is_recorded(const Job& job) const {
  return options_.records != nullptr && !job.task.is_root_directory && job.layer->is_cacheable();
}

// The id map under which the layer was unpacked.
Result<void> LayerIdentifier::choose_map(Job& job) {
  struct stat root = {};
  if (::fstat(job.layer->fd(), &root) != 0) return system_error("fstat");
  ASSAY_ASSIGN(job.id_map, choose_id_map(id_maps_of(job.task), root.st_uid));
  return ok();
}

void LayerIdentifier::run_shape(const JobPtr& job, const std::stop_token& stop) {
  if (auto prepared = prepare(*job); !prepared) return give_up(job, prepared.error());
  if (auto chosen = choose_map(*job); !chosen) return give_up(job, chosen.error());
  if (job->layer->is_cacheable() && !job->task.is_root_directory) {
    if (const auto cached = cache_.find(cache_key(*job)); cached && cached->evidence.shape) {
      const bool is_final = cached->evidence.content.has_value();
      Known known{job->layer->instance(), *cached, is_final};
      known.layer.evidence.tampered = job->tampered;
      if (!job->tampered.empty()) known.layer.evidence.exact.reset();
      reach(job, std::move(known));
      return is_final ? finish(job) : queue_content(job);
    }
  }
  auto found = fingerprint(*job, image::Scope::kShape, stop);
  if (!found) {
    if (stop.stop_requested()) return;
    return give_up(job, found.error());
  }
  // So little to read that a rung of its own is not worth an event: docker's -init layers.
  if (found->content_bytes <= kSmallLayerBytes) return run_content(job, stop);
  reach(job, known_from(*job, *found));
  queue_content(job);
}

void LayerIdentifier::queue_content(const JobPtr& job) {
  // A container's root kept open would keep its mount busy; and descriptors are not endless.
  const bool may_hold = !job->task.is_root_directory && held_.fetch_add(1) < kMaxHeld;
  if (may_hold) {
    job->is_held = true;
  } else {
    if (!job->task.is_root_directory) held_.fetch_sub(1);
    job->layer.reset();
  }
  if (!content_->try_submit([this, job](const std::stop_token& stop) { run_content(job, stop); }))
    give_up(job, {ErrorCode::kLimitExceeded, "too many layers wait to be identified"});
}

void LayerIdentifier::run_content(const JobPtr& job, const std::stop_token& stop) {
  if (std::exchange(job->is_held, false)) held_.fetch_sub(1);
  if (auto prepared = prepare(*job); !prepared) return give_up(job, prepared.error());
  auto found = fingerprint(*job, image::Scope::kContent, stop);
  if (!found) {
    if (stop.stop_requested()) return;
    return give_up(job, found.error());
  }
  keep_record(*job);
  Known known = known_from(*job, *found);
  known.is_final = true;
  // Layers that a runtime makes for one container are never seen again.
  if (job->layer->is_cacheable() && !job->task.is_root_directory && !known.layer.is_injected)
    (void)cache_.store(cache_key(*job), known.layer);  // a full queue costs a walk later, no more
  const bool was_large = known.layer.entries > kManyEntries;
  reach(job, std::move(known));
  finish(job);
  // The walk of a large layer leaves megabytes in malloc's free lists, and layers are seldom new.
  if (was_large) ::malloc_trim(0);
}

Result<image::LayerFingerprint> LayerIdentifier::fingerprint(Job& job, image::Scope scope,
                                                             const std::stop_token& stop) {
  image::WalkOptions options;
  options.dialect = dialect_of(job.task);
  options.scope = scope;
  options.uid_map = job.id_map.uids;
  options.gid_map = job.id_map.gids;
  options.wants_root_form = job.task.is_root_directory;
  {
    const MutexLock lock(mutex_);
    options.limits = limits_;
  }
  auto found = walk(job, options, stop);
  if (found || found.error().code != ErrorCode::kUnsupported || job.id_map.text.empty())
    return found;
  // Ids outside the container's map: the layer was not shifted for it. Then they are as they are.
  options.uid_map.clear();
  options.gid_map.clear();
  auto raw = walk(job, options, stop);
  if (raw) job.id_map = IdMap{};
  return raw;
}

Result<image::LayerFingerprint> LayerIdentifier::walk(Job& job, image::WalkOptions& options,
                                                      const std::stop_token& stop) {
  about::LayerAboutReader reader(/*lists=*/nullptr, kAboutLimits, stop);
  std::optional<image::NodeRecorder> recorder;
  if (options.scope == image::Scope::kContent && is_recorded(job))
    options.recorder =
        &recorder.emplace(options_.clock->wall_now(), nullptr, options_.record_limits);
  if (options.scope == image::Scope::kContent) options.observer = &reader;
  auto found = image::fingerprint_directory(job.layer->fd(), options, stop);
  options.observer = nullptr;
  options.recorder = nullptr;
  if (found && recorder) {
    auto record = recorder->take();
    job.record = record ? std::optional(std::move(*record)) : std::nullopt;
    job.is_too_large = !record;
  }
  if (found && options.scope == image::Scope::kContent)
    job.about = catalog::encode_about(reader.take());
  return found;
}

// What was recorded of the directory before counts, whatever was forgotten of it meanwhile.
void LayerIdentifier::keep_record(Job& job) {
  if (!job.record && !job.is_too_large) return;
  const catalog::LayerInstance& instance = job.layer->instance();
  const auto past = find_past(*options_.records, instance);
  if (past && job.record) {
    job.record->place = place_of(job.layer->fd());
    const auto outcome = agent::keep_record(*options_.records, instance, *past, *job.record);
    if (outcome)
      job.tampered = outcome->tampered;  // else the next re-walk finds no record, and says so
    job.is_too_large = !outcome && outcome.error().code == ErrorCode::kLimitExceeded;
  }
  // One with a record has grown: the next re-walk says so.
  if (past && job.is_too_large && !past->decoded)
    (void)options_.records->keep_record(instance, {std::string(kTooLargeMark), past->tampered()});
  job.record.reset();
}

LayerKey LayerIdentifier::cache_key(const Job& job) const {
  return {job.layer->instance(), job.id_map.text, overlay_options_of(job.task),
          image::kFingerprintVersion};
}

LayerIdentifier::Known LayerIdentifier::known_from(
    const Job& job, const image::LayerFingerprint& fingerprint) const {
  Known known;
  known.instance = job.layer->instance();
  catalog::LayerEvidence& evidence = known.layer.evidence;
  evidence.shape = fingerprint.shape;
  evidence.content = fingerprint.content;
  evidence.deletions = fingerprint.deletions;
  evidence.is_capped_at_shape = is_capped(job.task, fingerprint);
  if (job.task.start.other_stack == OtherStack::kFuseOverlay) evidence.gap = kServedByProgram;
  evidence.tampered = job.tampered;
  evidence.is_mutable = job.task.is_root_directory;  // its container writes to it
  known.layer.entries = fingerprint.entries;
  known.layer.content_bytes = fingerprint.content_bytes;
  known.layer.is_injected = fingerprint.is_runtime_injected;
  if (fingerprint.root) {  // a root without layers is compared with what layers make together
    evidence.shape = fingerprint.root->shape;
    evidence.content = fingerprint.root->content;
    known.layer.entries = fingerprint.root->entries;
    known.layer.content_bytes = fingerprint.root->content_bytes;
  }
  known.layer.about = job.about;
  return known;
}

void LayerIdentifier::reach(const JobPtr& job, Known known) {
  if (job->key) remember(*job->key, known);
  {
    const MutexLock lock(job->mutex);
    job->known = std::move(known);
    for (Subscriber& subscriber : job->subscribers)
      subscriber.has_known = false;
  }
  deliver(job);
}

void LayerIdentifier::give_up(const JobPtr& job, const Error& error) {
  {
    const MutexLock lock(job->mutex);
    if (!job->known) {
      job->known = Known{};
      job->known->instance = bare_layer(job->task).instance;
    }
    job->known->layer.evidence.gap = gap_of(error);
    job->known->is_final = true;
    for (Subscriber& subscriber : job->subscribers)
      subscriber.has_known = false;
  }
  finish(job);
}

void LayerIdentifier::deliver(const JobPtr& job) {
  // Callbacks run under the job's mutex, so that no rung overtakes another; they only queue.
  const MutexLock lock(job->mutex);
  if (!job->known) return;
  for (Subscriber& subscriber : job->subscribers) {
    if (std::exchange(subscriber.has_known, true)) continue;
    subscriber.on_result(result_for(subscriber.task, *job->known));
  }
}

void LayerIdentifier::remember(const MemoKey& key, const Known& known) {
  const MutexLock lock(mutex_);
  const auto [position, is_new] = memory_.try_emplace(key);
  if (is_new) position->second.order = by_use_.insert(by_use_.end(), key);
  position->second.known = known;
  while (memory_.size() > options_.max_remembered) {
    memory_.erase(by_use_.front());
    by_use_.pop_front();
  }
}

void LayerIdentifier::finish(const JobPtr& job) {
  if (job->key) {
    const MutexLock lock(mutex_);
    running_.erase(*job->key);
  }
  deliver(job);                                                // to those who joined until then
  if (std::exchange(job->is_held, false)) held_.fetch_sub(1);  // its content was never queued
  job->layer.reset();
  pending_.fetch_sub(1);
}

}  // namespace assay::agent
