// SPDX-License-Identifier: Apache-2.0
// What the auditor tells of that which was not seen, or was too much.
#include <utility>

#include "agent/core/auditor.h"
#include "agent/core/gap_text.h"

namespace assay::agent {
namespace {

// A storm of refused runs is one gap in this time.
constexpr std::chrono::seconds kJoinRefused{10};

}  // namespace

void Auditor::refuse(const ContainerStart& start) {
  ++counters_.refused_runs;
  if (!refused_) refused_ = {start.time, {}, 0};
  refused_->until = ports_.clock.boot_now();
  ++refused_->runs;
}

void Auditor::report_refused() {
  if (!refused_ || ports_.clock.boot_now() - refused_->from < kJoinRefused) return;
  const Refused refused = *std::exchange(refused_, std::nullopt);
  ports_.journal.record(EvidenceGap{wall(refused.from), wall(refused.until),
                                    "more runs than the agent's limit are open", refused.runs},
                        nullptr);
}

void Auditor::on_gap(const ObservationGap& gap) {
  EvidenceGap event{wall(gap.from), wall(gap.until),
                    agent::describe(gap, config_.exec_level != ExecLevel::kOff),
                    lost_in(gap, config_.exec_level != ExecLevel::kOff)};
  if (gap.cause == GapCause::kLosses && event.lost == 0) return;
  ports_.journal.record(std::move(event), nullptr);
}

void Auditor::on_noise(const RunNoise& noise) {
  const Run* run = noisy_run(noise);
  const WallTime from = wall(noise.since);
  const WallTime until = wall(noise.time);
  if (run != nullptr) {
    ports_.journal.record(
        RunNoisy{run->id, noise.budget, from, until, noise.dropped, noise.limit, noise.is_over},
        nullptr);
  } else if (noise.budget == Budget::kStarts) {
    ports_.journal.record(
        EvidenceGap{from, until, "a container that has ended made roots faster than its budget",
                    noise.dropped},
        nullptr);
  }
}

// The first run in the cgroup may have ended while others in it go on.
const Auditor::Run* Auditor::noisy_run(const RunNoise& noise) const {
  const auto found = runs_.find(noise.key);
  if (found != runs_.end()) return &found->second;
  if (noise.budget != Budget::kStarts) return nullptr;
  for (const auto& [key, run] : runs_)
    if (key.cgroup_id == noise.key.cgroup_id) return &run;
  return nullptr;
}

}  // namespace assay::agent
