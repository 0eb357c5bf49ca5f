// SPDX-License-Identifier: Apache-2.0
#include "collector/core/reconciler.h"

#include <algorithm>
#include <utility>

#include "collector/core/triage.h"

namespace assay::collector {
namespace {

std::string time_text(std::int64_t ns) {
  return to_rfc3339(from_unix_ns(ns));
}

std::string count_text(std::uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace

void Reconciler::want(NodeState& state, const std::string& because) {
  if (state.is_wanted) return;
  state.is_wanted = true;
  state.wanted_because = because;
  ++state.request;
  ++counts_.requests;
}

/// While an earlier gap waits for its answer they are one: one finding, one full state.
Result<void> Reconciler::open_gap(const Subject& subject, std::int64_t from_ns,
                                  std::uint64_t missing, const std::string& why) {
  NodeState& state = subject.state;
  const std::int64_t now_ns = to_unix_ns(subject.now);
  const bool is_more = state.is_wanted && !state.finding_id.empty();
  if (!is_more) {
    state.gap_from_ns = std::min(from_ns, now_ns);
    state.missing = 0;
  }
  state.missing += missing;
  state.gap = why + ": events of this node are missing, ";
  if (state.missing > 0) state.gap += std::to_string(state.missing) + " or more, ";
  if (state.gap_from_ns > 0) state.gap += "from " + time_text(state.gap_from_ns) + " ";
  state.gap += "until " + time_text(now_ns);
  const std::string reason = state.gap + "; its full state is asked for";
  want(state, why);
  if (is_more) return change_reason(subject.store, state.finding_id, reason, now_ns);
  ++counts_.gaps;
  state.finding_id = new_finding_id(now_ns);
  return subject.store.add_finding(
      {state.finding_id, catalog::FindingKind::kEvidenceGap,
       to_rfc3339(from_unix_ns(state.gap_from_ns > 0 ? state.gap_from_ns : now_ns), 9), reason, "",
       subject.node, std::nullopt, now_ns, 0, ""});
}

Result<EpochRow> Reconciler::open_epoch(const Subject& subject, const AgentInfo& agent) {
  NodeState& state = subject.state;
  ASSAY_ASSIGN(const auto known, subject.store.find_epoch(subject.node, agent.epoch));
  EpochRow row = known.value_or(EpochRow{});
  if (!known) {
    ASSAY_ASSIGN(const auto before, subject.store.newest_other_epoch(subject.node, agent.epoch));
    state.is_torn = true;  // what was being told came from another outbox
    if (before)
      ASSAY_TRY(open_gap(subject, before->last_event_ns, 0,
                         "the agent came back with another outbox, and what the last one had not "
                         "delivered is lost"));
  }
  if (agent.acknowledged > row.acknowledged) {
    ASSAY_TRY(open_gap(subject, row.last_event_ns, agent.acknowledged - row.acknowledged,
                       "another collector, or a store that is gone, acknowledged what is not in "
                       "this store"));
    row.acknowledged = agent.acknowledged;
    state.is_torn = true;
  }
  if (!known || row.acknowledged != known->acknowledged)
    ASSAY_TRY(subject.store.save_epoch(subject.node, agent.epoch, row));
  if (!state.boot_id.empty() && state.boot_id != agent.boot_id)
    want(state, "the node was booted since it was last heard of");
  state.boot_id = agent.boot_id;
  return row;
}

void Reconciler::on_skipped(const Subject& subject) {
  subject.state.is_torn = true;
  want(subject.state, "the agent dropped events at the limit of its outbox");
}

void Reconciler::begin(const Subject& subject, std::int64_t time_ns) {
  NodeState& state = subject.state;
  ++state.state;
  state.is_telling = true;
  state.is_torn = false;
  state.is_ending = false;  // what an earlier one left is not told in this one either
  state.state_ns = std::max<std::int64_t>(time_ns, 1);
  state.told = state.added = state.reopened = state.ended = 0;
}

Result<void> Reconciler::told(const Subject& subject, RunKey run, bool is_new, bool is_reopened) {
  NodeState& state = subject.state;
  if (!state.is_telling) return ok();
  ++state.told;
  if (is_new) ++state.added;
  if (is_reopened) ++state.reopened;
  return subject.store.set_told_in(run, state.state);
}

Result<void> Reconciler::complete(const Subject& subject, const StateCompleted& event) {
  NodeState& state = subject.state;
  if (!std::exchange(state.is_telling, false)) return ok();
  if (state.is_torn || state.told != event.runs) {
    ++counts_.torn;
    state.is_wanted = false;  // a new number, or the agent would think it has answered
    want(state, "the full state that was told is not whole");
    return ok();
  }
  ++counts_.states;
  counts_.added += state.added;
  counts_.reopened += state.reopened;
  state.is_wanted = false;
  if (event.lost > 0 && !state.finding_id.empty())
    state.gap += "; the agent lost " + count_text(event.lost, "record") + " of starts meanwhile";
  return end_untold(subject);
}

Result<void> Reconciler::end_untold(const Subject& subject) {
  NodeState& state = subject.state;
  ASSAY_ASSIGN(const auto runs, subject.store.untold_runs(subject.node, state.state, max_runs_));
  for (OpenRun run : runs) {
    run.ended_ns = std::max(state.state_ns, run.started_ns);
    ASSAY_TRY(subject.store.end_run(run, run.ended_ns, true, to_unix_ns(subject.now)));
    ASSAY_ASSIGN(const JudgedStack stack, judging_.judged(subject.store, run.stack, subject.now));
    ASSAY_TRY(judging_.settle(subject.store, run, stack, subject.now));
  }
  state.ended += runs.size();
  counts_.ended += runs.size();
  state.is_ending = static_cast<int>(runs.size()) == max_runs_;
  if (!state.is_ending) return tell_outcome(subject);
  has_ending_ = true;
  return ok();
}

Result<void> Reconciler::tell_outcome(const Subject& subject) {
  NodeState& state = subject.state;
  if (state.finding_id.empty() || state.is_wanted) return ok();
  std::string reason = state.gap + "; its full state of " + time_text(state.state_ns) + " added " +
                       count_text(state.added, "run") + " and ended " + std::to_string(state.ended);
  if (state.reopened > 0)
    reason += "; " + count_text(state.reopened, "run") + " held for ended went on";
  const std::string finding = std::exchange(state.finding_id, "");
  return change_reason(subject.store, finding, reason, to_unix_ns(subject.now));
}

std::optional<StateWish> Reconciler::wish(const NodeState& state) {
  if (!state.is_wanted) return std::nullopt;
  return StateWish{state.request, state.wanted_because};
}

Result<bool> Reconciler::end_some(StoreWriter& store, WallTime now) {
  if (!has_ending_) return false;
  ASSAY_ASSIGN(const auto nodes, store.ending_nodes(1));
  if (nodes.empty()) {
    has_ending_ = false;
    return false;
  }
  ASSAY_ASSIGN(NodeState state, store.node_state(nodes.front()));
  ASSAY_TRY(end_untold({store, nodes.front(), state, now}));
  ASSAY_TRY(store.save_node_state(nodes.front(), state));
  return true;
}

}  // namespace assay::collector
