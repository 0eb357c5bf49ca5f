// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/loss_watch.h"

namespace assay::agent {
namespace {

/// Whether a sweep can find what is missing between the two.
bool needs_sweep(const LossCounters& earlier, const LossCounters& later) {
  return later.lost_starts != earlier.lost_starts || later.lost_layers != earlier.lost_layers ||
         later.lost_ends != earlier.lost_ends ||
         later.held_back_starts != earlier.held_back_starts || later.gone() != earlier.gone();
}

/// Whether something is missing that no sweep can find.
bool is_gap(const LossCounters& lost) {
  return lost.gone() != 0 || lost.lost_execs != 0;
}

}  // namespace

void LossWatch::inherit(BootTime from, const LossCounters& lost) {
  well_.time = from;
  inherited_ = lost;
  if (is_gap(lost) && !cause_) cause_ = GapCause::kLosses;
}

bool LossWatch::observe(const LossCounters& counters, BootTime now) {
  if (needs_sweep(seen_, counters)) return true;
  if (!cause_ && is_gap(counters - well_.counters)) cause_ = GapCause::kLosses;
  if (!cause_ && untold_ == 0) be_well(counters, now);
  // A gap that was held back for its pause is told with the next sweep.
  return cause_ && (!last_told_ || now - *last_told_ >= min_pause_);
}

std::optional<ObservationGap> LossWatch::swept(const LossCounters& before,
                                               const LossCounters& after, BootTime completed) {
  seen_ = before;
  // What was lost while the sweep went on may have been behind it: the next one finds it.
  const bool is_repaired = !needs_sweep(before, after);
  if (!cause_ && is_gap(lost_until(after))) cause_ = GapCause::kLosses;
  if (!cause_) {
    if (is_repaired) be_well(after, completed);
    return std::nullopt;
  }
  // The next sweep comes at once; under losses without end the gap is told all the same.
  if (!is_repaired && completed - well_.time < min_pause_) return std::nullopt;
  if (last_told_ && completed - *last_told_ < min_pause_) return std::nullopt;
  auto gap = finish(after, completed);
  if (is_repaired) seen_ = after;
  return gap;
}

std::optional<ObservationGap> LossWatch::finish(const LossCounters& counters, BootTime now) {
  if (!cause_ && is_gap(lost_until(counters))) cause_ = GapCause::kLosses;
  if (!cause_) return std::nullopt;
  ObservationGap gap{well_.time, now, *cause_, lost_until(counters)};
  last_told_ = now;
  cause_.reset();
  untold_ = 0;
  inherited_ = {};
  well_ = {now, counters};
  return gap;
}

LossCounters LossWatch::lost_until(const LossCounters& counters) const {
  LossCounters lost = counters - well_.counters;
  lost.ended_untold += untold_ + inherited_.ended_untold;
  lost.lost_unknown += inherited_.lost_unknown;
  lost.recursion_misses += inherited_.recursion_misses;
  lost.lost_execs += inherited_.lost_execs;
  return lost;
}

void LossWatch::be_well(const LossCounters& counters, BootTime now) {
  well_ = {now, counters};
  seen_ = counters;
}

}  // namespace assay::agent
