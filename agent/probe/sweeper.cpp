// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/sweeper.h"

#include <utility>

#include "agent/core/ports.h"

namespace assay::agent {
namespace {

// What the facts of one run take in the ring buffer, at most.
std::uint64_t facts_bytes(std::uint32_t layer_count) {
  const std::uint64_t records = layer_count / ASSAY_LAYERS_PER_RECORD + 1;
  return sizeof(assay_start) + sizeof(assay_lowerdir) + records * sizeof(assay_layers);
}

}  // namespace

Result<void> Sweeper::ask_for_facts(const std::vector<SweptRun>& wanted) {
  std::vector<std::uint32_t> tgids;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    tgids.push_back(wanted[i].oldest.tgid);
    bytes += facts_bytes(wanted[i].layer_count);
    // Half of the buffer stays free for starts that happen meanwhile.
    const std::uint64_t next = i + 1 < wanted.size() ? facts_bytes(wanted[i + 1].layer_count) : 0;
    if (i + 1 < wanted.size() && tgids.size() < ProbePrograms::kMaxWanted &&
        bytes + next <= options_.start_ring_bytes / 2)
      continue;
    ASSAY_TRY(programs_.sweep_facts(tgids));
    programs_.read_starts();
    tgids.clear();
    bytes = 0;
  }
  return ok();
}

std::uint64_t Sweeper::forget_dead() {
  const auto began = static_cast<std::uint64_t>(assembler_.sweep_began().count());
  std::uint64_t ended_untold = 0;
  programs_.forget_runs([&](const assay_run_key& key, const assay_run& run) {
    const bool is_dead = run.known_since_boot_ns < began && !assembler_.is_live(to_run_key(key));
    if (is_dead && run.flags == ASSAY_RUN_UNTOLD) ++ended_untold;
    return is_dead;
  });
  return ended_untold;
}

Result<std::uint64_t> Sweeper::sweep() {
  ProbeTap* const tap = options_.tap;
  assembler_.begin_sweep(clock_.boot_now());
  if (tap != nullptr) tap->on_sweep_began(assembler_.sweep_began());
  ASSAY_ASSIGN(const std::string records, programs_.sweep_keys());
  if (tap != nullptr) tap->on_bytes(ProbeChannel::kSweptTasks, clock_.boot_now(), records);
  ASSAY_TRY(assembler_.on_swept_tasks(records));
  // What started or ended before the tasks were looked at is told first.
  programs_.read_starts();
  if (tap != nullptr) tap->on_sweep_asks();
  ASSAY_TRY(ask_for_facts(assembler_.wanted()));
  const BootTime completed = clock_.boot_now();
  if (tap != nullptr) tap->on_sweep_completed(completed);
  const std::uint64_t ended_untold = assembler_.end_sweep(completed);
  return ended_untold + forget_dead();
}

}  // namespace assay::agent
