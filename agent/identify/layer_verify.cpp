// SPDX-License-Identifier: Apache-2.0
// One layer that somebody asks about: read wholly, and compared with all that is kept of it.
#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "agent/identify/layer_dialect.h"
#include "agent/identify/layer_rewalker.h"
#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr std::uint64_t kManyEntries = 1000;  // then the walk leaves megabytes in free lists
constexpr std::size_t kMaxReasonBytes = 300;

using catalog::LayerOutcome;
using catalog::VerifiedLayer;

/// Under which map its ids were read first, and whether that is sure.
std::pair<IdMap, bool> id_map_of(const LayerTask& task, const Layer& layer) {
  struct stat root = {};
  if (::fstat(layer.fd(), &root) != 0) return {};
  if (task.start.in_host_user_namespace) return {IdMap{}, true};
  if (task.start.process.key.tgid == 0) return {};  // nothing is remembered of its start
  auto chosen = choose_id_map(id_maps_of(task), root.st_uid);
  if (!chosen) return {};
  return {std::move(*chosen), true};
}

std::string no_record_reason(const VerifiedLayer& found, bool is_recorded, bool is_too_large) {
  const std::string why = is_too_large   ? "it is too large for a record"
                          : !is_recorded ? "no record is kept of layers on its file system"
                                         : "no record of it is kept (yet)";
  return why + (found.content ? ", and the ids of its container are not known any more"
                              : ", and its content was not read to its end before");
}

void not_checked(VerifiedLayer& found, const Error& error) {
  found.outcome = LayerOutcome::kNotChecked;
  found.reason = escape_untrusted(error.text(), kMaxReasonBytes);
}

}  // namespace

VerifiedLayer LayerRewalker::verify(const VerifyTask& task, const Progress& progress,
                                    const std::stop_token& stop) {
  const BootTime began = ports_.clock.boot_now();
  VerifiedLayer found = task.known;
  if (!task.unreadable.empty()) {
    found.outcome = LayerOutcome::kNoRecord;
    found.reason = task.unreadable;
    return found;
  }
  auto done = verify_layer({task, progress, stop, found});
  if (!done && stop.stop_requested())
    done = Error{ErrorCode::kCancelled, "stopped before it was read to its end"};
  if (!found.tampered.empty())
    found.outcome = LayerOutcome::kChanged;  // whatever else could not be looked at
  else if (!done)
    not_checked(found, done.error());
  found.took = ports_.clock.boot_now() - began;
  if (found.entries > kManyEntries) ::malloc_trim(0);
  const MutexLock lock(mutex_);
  counts_.busy += found.took;
  if (!done) ++counts_.failed;
  return found;
}

Result<void> LayerRewalker::verify_layer(const Verifying& verifying) {
  const LayerTask& task = verifying.task.task;
  const LayerTurns::Turn turn(turns_, ref_of(task.layer), verifying.stop);
  if (!turn.has_it()) return Error{ErrorCode::kCancelled, "stopped"};
  auto opened = open(task);
  if (opened) return verify_open(verifying, **opened);
  ASSAY_TRY(gone(task, opened.error()));  // else it was there, and is a change
  std::optional<catalog::LayerInstance> instance;
  {
    const MutexLock lock(mutex_);
    instance = walked_[ref_of(task.layer)].instance;
  }
  return instance ? take_tampered(verifying, *instance) : ok();
}

Result<void> LayerRewalker::take_tampered(const Verifying& verifying,
                                          const catalog::LayerInstance& instance) {
  ASSAY_ASSIGN(verifying.found.tampered, ports_.records.find_tampered(instance));
  return ok();
}

Result<void> LayerRewalker::verify_open(const Verifying& verifying, const Layer& layer) {
  const LayerTask& task = verifying.task.task;
  VerifiedLayer& found = verifying.found;
  const bool is_recorded = layer.is_cacheable() && task.layer.generation != 0;
  PastRecord past;
  if (is_recorded) {
    ASSAY_ASSIGN(past, find_past(ports_.records, layer.instance()));
  }
  if (!past.tampered().empty()) found.tampered = past.tampered();
  const image::NodeRecord* const before = past.decoded ? &*past.decoded : nullptr;
  auto [map, is_map_known] = id_map_of(task, layer);
  bool is_over = false;
  const auto reading =
      read(layer,
           {before ? before->dialect : dialect_of(task), before,
            is_recorded && !past.is_too_large(), true, std::move(map), verifying.progress},
           is_over, verifying.stop);
  if (!reading && reading.error().code == ErrorCode::kLimitExceeded && is_recorded) {
    ASSAY_TRY(too_large(task, layer.instance(), past, is_over, reading.error()));
    return take_tampered(verifying, layer.instance());
  }
  if (!reading) return reading.error();
  found.entries = reading->fingerprint.entries;
  found.bytes_read = reading->fingerprint.content_bytes;
  found.files_read = reading->files_read;
  if (before != nullptr) ASSAY_TRY(compare_record(verifying, layer, past, *reading));
  ASSAY_TRY(compare_content(verifying, layer, past, *reading, is_map_known));
  found.outcome = found.checked.empty() ? LayerOutcome::kNoRecord : LayerOutcome::kAsRecorded;
  if (found.checked.empty())
    found.reason = no_record_reason(found, is_recorded, past.is_too_large());
  return ok();
}

Result<void> LayerRewalker::compare_record(const Verifying& verifying, const Layer& layer,
                                           const PastRecord& past, const Reading& reading) {
  const LayerTask& task = verifying.task.task;
  auto outcome = keep_record(ports_.records, layer.instance(), past, reading.record);
  if (!outcome && outcome.error().code == ErrorCode::kLimitExceeded) {  // once it is encoded
    ASSAY_TRY(too_large(task, layer.instance(), past, true, outcome.error()));
    return take_tampered(verifying, layer.instance());
  }
  if (!outcome) return std::move(outcome.error());
  verifying.found.checked.emplace_back(catalog::kCheckedRecord);
  verifying.found.tampered = outcome->tampered;
  outcome->named.resize(std::min(outcome->named.size(), catalog::kMaxVerifiedChanges));
  verifying.found.changes = outcome->named;
  tell(task, *outcome);
  return ok();
}

/// What a record that was lost, or never there, cannot tell.
Result<void> LayerRewalker::compare_content(const Verifying& verifying, const Layer& layer,
                                            const PastRecord& past, const Reading& reading,
                                            bool is_map_known) {
  VerifiedLayer& found = verifying.found;
  const auto& content = reading.fingerprint.content;
  if (!found.content || !content) return ok();
  const bool is_equal = *found.content == *content;
  if (!is_equal && !is_map_known) return ok();  // says as little of the layer as of its ids
  found.checked.emplace_back(catalog::kCheckedContent);
  const bool is_recorded = layer.is_cacheable() && verifying.task.task.layer.generation != 0;
  if (is_equal) {
    if (is_recorded && !past.decoded && !past.is_too_large())  // the first one, of known bytes
      ASSAY_TRY(keep_record(ports_.records, layer.instance(), past, reading.record));
    return ok();
  }
  if (!found.tampered.empty()) return ok();  // that is why
  found.changes.emplace_back(kOtherContent);
  found.tampered = kOtherContent;
  if (!is_recorded) {
    tell(verifying.task.task, {found.tampered, 1, 0});
    return ok();
  }
  ASSAY_ASSIGN(const auto kept, ports_.records.find_record(layer.instance()));
  const KeptRecord known = kept.value_or(KeptRecord{});
  return note(verifying.task.task, layer.instance(), known,
              {known.record, add_of_whole(known.tampered, kOtherContent)});
}

}  // namespace assay::agent
