// SPDX-License-Identifier: Apache-2.0
#include "agent/app/continuity.h"

#include <algorithm>

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kWriteEvery{10};

}  // namespace

void Continuity::tell_gap(WallTime from, const std::string& reason) {
  // A clock that was set back meanwhile: both times lie within the gap.
  const WallTime now = ports_.clock.wall_now();
  ports_.journal.record(EvidenceGap{std::min(from, now), std::max(from, now), reason, 0}, nullptr);
}

void Continuity::tell_lost_files() {
  const WallTime now = ports_.clock.wall_now();
  if (const auto& damaged = ports_.state.set_aside()) {
    ports_.log.error("state.db was damaged; a new one is used",
                     {{"reason", damaged->reason}, {"kept_as", damaged->path}});
    tell_gap(now,
             "state.db was damaged: what this node knew of its layers, and the highest "
             "catalog that it had trusted, is forgotten");
  }
  const auto& damaged = ports_.outbox.set_aside();
  if (damaged)
    ports_.log.error("outbox.db was damaged; a new one with a new epoch is used",
                     {{"reason", damaged->reason}, {"kept_as", damaged->path}});
  const auto delivery = ports_.state.delivery();
  const bool is_lost = delivery && delivery->epoch != ports_.outbox.epoch();
  if (!damaged && !is_lost) return;
  if (!damaged) ports_.log.error("outbox.db was lost; a new one with a new epoch is used");
  // Without a note of what was delivered it is whatever happened since the host started.
  const WallTime from = is_lost ? delivery->until : now - ports_.clock.boot_now();
  tell_gap(from, "the outbox was lost with what had not been acknowledged");
}

std::optional<BootTime> Continuity::absent_since() const {
  const auto& kept = ports_.outbox.kept_until();
  if (!kept) return std::nullopt;
  const BootTime now = ports_.clock.boot_now();
  if (kept->is_of_this_boot) return std::min(kept->moment.boot, now);
  // The boot clock began again: the wall clock is all there is. It may have been set back since.
  return std::min(now - (ports_.clock.wall_now() - kept->moment.wall), now);
}

void Continuity::on_tick() {
  const BootTime now = ports_.clock.boot_now();
  if (written_ != BootTime{} && now - written_ < kWriteEvery) return;
  written_ = now;
  const OutboxStatus status = ports_.outbox.status();
  // What was appended a moment ago may not be committed yet.
  const WallTime until = status.oldest.value_or(ports_.clock.wall_now() - kWriteEvery);
  ports_.state.put_delivery({ports_.outbox.epoch(), until});
}

}  // namespace assay::agent
