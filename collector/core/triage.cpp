// SPDX-License-Identifier: Apache-2.0
#include "collector/core/triage.h"

#include <array>

#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr const char* kCollector = "collector";
constexpr const char* kOnNode = "on a node";

struct Named {
  TriageAction action;
  std::string_view name;
};
constexpr std::array kActions = {
    Named{TriageAction::kAcknowledge, "acknowledge"}, Named{TriageAction::kAssign, "assign"},
    Named{TriageAction::kUnassign, "unassign"},       Named{TriageAction::kMute, "mute"},
    Named{TriageAction::kUnmute, "unmute"},           Named{TriageAction::kReopen, "reopen"}};

Error invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

std::string time_text(std::int64_t ns) {
  return to_rfc3339(from_unix_ns(ns), 0);
}

/// What a mute is held against.
std::string muted_as(const catalog::Verdict& verdict) {
  std::string text(catalog::to_string(verdict.status));
  if (const std::string base = verdict.base_name(); !base.empty()) text += " on " + base;
  return text;
}

void clear_mute(TriageState& state) {
  state.muted_by.clear();
  state.muted_ns = state.muted_until_ns = 0;
  state.muted_reason.clear();
  state.muted_as.clear();
}

void clear_acknowledgement(TriageState& state) {
  state.acknowledged_by.clear();
  state.acknowledged_ns = 0;
  state.acknowledged_note.clear();
}

Result<void> bring_back(StoreWriter& store, FindingKey finding, std::int64_t now_ns,
                        const std::string& why) {
  ASSAY_ASSIGN(TriagedFinding found, store.triaged_finding(finding));
  if (found.triage.muted_until_ns == 0) return ok();
  clear_mute(found.triage);
  ++found.triage.revision;
  ASSAY_TRY(store.set_triage(finding, found.triage));
  return store.add_triage_entry(finding, {now_ns, kCollector, "unmute", why});
}

/// One change of one finding: each action says whether it changed the state, and what there was.
struct Changing {
  StoreWriter& store;
  const TriageChange& change;
  TriagedFinding& found;
  TriageState& state;
  TriageOutcome& outcome;

  Result<bool> acknowledge() {
    if (state.acknowledged_ns != 0 &&
        (change.note.empty() || change.note == state.acknowledged_note)) {
      outcome.said = "acknowledged already by " + state.acknowledged_by + " at " +
                     time_text(state.acknowledged_ns);
      return false;
    }
    if (state.acknowledged_ns != 0)
      outcome.said = "takes the place of the note of " + state.acknowledged_by;
    state.acknowledged_by = change.actor.name;
    state.acknowledged_ns = change.now_ns;
    state.acknowledged_note = change.note;
    return true;
  }
  Result<bool> assign() {
    if (state.assignee == change.assignee) {
      outcome.said = "assigned to " + state.assignee + " already by " + state.assigned_by;
      return false;
    }
    if (!state.assignee.empty())
      outcome.said = "was assigned to " + state.assignee + " by " + state.assigned_by;
    state.assignee = change.assignee;
    state.assigned_by = change.actor.name;
    return true;
  }
  Result<bool> unassign() {
    if (state.assignee.empty()) {
      outcome.said = "assigned to nobody already";
      return false;
    }
    outcome.said = "was assigned to " + state.assignee + " by " + state.assigned_by;
    state.assignee.clear();
    state.assigned_by.clear();
    return true;
  }
  Result<bool> mute() {
    if (state.muted_until_ns == change.muted_until_ns && state.muted_reason == change.note) {
      outcome.said =
          "muted already by " + state.muted_by + " until " + time_text(state.muted_until_ns);
      return false;
    }
    if (state.muted_until_ns != 0)
      outcome.said = "was muted by " + state.muted_by + " until " + time_text(state.muted_until_ns);
    state.muted_by = change.actor.name;
    state.muted_ns = change.now_ns;
    state.muted_until_ns = change.muted_until_ns;
    state.muted_reason = change.note;
    state.muted_as = kOnNode;
    if (!found.stack) return true;
    ASSAY_ASSIGN(const StackRow row, store.stack_row(*found.stack));
    state.muted_as = muted_as(row.is_described ? row.verdict : catalog::Verdict{});
    return true;
  }
  Result<bool> unmute() {
    if (state.muted_until_ns == 0) {
      outcome.said = "not muted";
      return false;
    }
    outcome.said = "was muted by " + state.muted_by + " until " + time_text(state.muted_until_ns);
    clear_mute(state);
    return true;
  }
  Result<bool> reopen() {
    if (state.word() == "new" && state.assignee.empty()) {
      outcome.said = "nobody did anything about it yet";
      return false;
    }
    outcome.said = "was " + std::string(state.word());
    clear_mute(state);
    clear_acknowledgement(state);
    state.assignee.clear();
    state.assigned_by.clear();
    return true;
  }
  Result<bool> run() {
    switch (change.action) {
      case TriageAction::kAcknowledge:
        return acknowledge();
      case TriageAction::kAssign:
        return assign();
      case TriageAction::kUnassign:
        return unassign();
      case TriageAction::kMute:
        return mute();
      case TriageAction::kUnmute:
        return unmute();
      case TriageAction::kReopen:
        return reopen();
    }
    return false;
  }
};

std::string detail_of(const TriageChange& change) {
  std::string text;
  if (!change.assignee.empty()) text += "to " + change.assignee;
  if (change.muted_until_ns != 0) text += "until " + time_text(change.muted_until_ns);
  if (!change.note.empty()) text += (text.empty() ? "" : ": ") + change.note;
  return text;
}

}  // namespace

std::string_view to_string(TriageAction action) {
  for (const Named& one : kActions)
    if (one.action == action) return one.name;
  return "";
}

Result<TriageAction> parse_triage_action(std::string_view text) {
  for (const Named& one : kActions)
    if (one.name == text) return one.action;
  return invalid("action \"" + escape_untrusted(text, 80) +
                 "\": there are acknowledge, assign, unassign, mute, unmute and reopen");
}

Result<void> check_triage(const TriageChange& change, std::chrono::nanoseconds max_mute) {
  const bool is_mute = change.action == TriageAction::kMute;
  if (change.note.size() > kMaxNoteBytes)
    return invalid("the note is longer than " + std::to_string(kMaxNoteBytes) + " bytes");
  if (change.action == TriageAction::kAssign && !is_valid_name(change.assignee))
    return invalid("an assignee's name has 1 to 253 letters, digits, \".\", \"_\" and \"-\"");
  if (change.action != TriageAction::kAssign && !change.assignee.empty())
    return invalid("only assign takes an assignee");
  if (is_mute != (change.muted_until_ns != 0))
    return invalid(is_mute ? "a mute needs an end" : "only mute takes an end");
  if (!is_mute) return ok();
  if (change.note.find_first_not_of(" \t\r\n") == std::string::npos)
    return invalid("a mute needs a reason");
  if (change.muted_until_ns <= change.now_ns) return invalid("the end of the mute has passed");
  if (change.muted_until_ns - change.now_ns > max_mute.count())
    return invalid(
        "a mute ends in " +
        std::to_string(std::chrono::duration_cast<std::chrono::hours>(max_mute).count()) +
        " hours at most (triage.max_mute of the collector)");
  return ok();
}

Result<TriageOutcome> apply_triage(StoreWriter& store, const TriageChange& change) {
  ASSAY_ASSIGN(TriagedFinding found, store.triaged_finding(change.finding));
  TriageOutcome outcome{found.finding_id, false, ""};
  if (change.revision != 0 && change.revision != found.triage.revision + 1)
    return Error{ErrorCode::kAlreadyExists,
                 "finding " + found.finding_id +
                     " was changed since it was looked at: look again (assay finding show)"};
  if (found.resolved_ns != 0)
    return invalid("finding " + found.finding_id + " was resolved at " +
                   time_text(found.resolved_ns) + ": there is nothing to do about it");
  ASSAY_ASSIGN(outcome.is_changed, (Changing{store, change, found, found.triage, outcome}.run()));
  if (!outcome.is_changed) return outcome;
  ++found.triage.revision;
  ASSAY_TRY(store.set_triage(found.key, found.triage));
  const std::string action(to_string(change.action));
  ASSAY_TRY(
      store.add_triage_entry(found.key, {change.now_ns, change.actor.name, action, change.note,
                                         change.assignee, change.muted_until_ns}));
  ASSAY_TRY(store.audit({change.now_ns, change.actor.name, "finding." + action,
                         std::string(catalog::to_string(found.kind)) + " " + found.finding_id,
                         "done", detail_of(change), change.actor.peer}));
  return outcome;
}

Result<void> change_reason(StoreWriter& store, const OpenFinding& finding,
                           const std::string& reason, std::int64_t now_ns) {
  ASSAY_TRY(store.set_finding_reason(finding.key, reason, now_ns));
  if (finding.muted_as.empty() || finding.reason == reason) return ok();
  return bring_back(store, finding.key, now_ns, "its reason changed; it was: " + finding.reason);
}

Result<void> change_reason(StoreWriter& store, const std::string& finding_id,
                           const std::string& reason, std::int64_t now_ns) {
  ASSAY_TRY(store.set_finding_reason(finding_id, reason, now_ns));
  ASSAY_ASSIGN(const TriagedFinding found, store.triaged_finding(finding_id));
  return bring_back(store, found.key, now_ns, "its reason changed");
}

Result<void> follow_verdict(StoreWriter& store, const OpenFinding& finding,
                            const catalog::Verdict& verdict, std::int64_t now_ns) {
  const std::string now = muted_as(verdict);
  if (finding.muted_as.empty() || finding.muted_as == now) return ok();
  return bring_back(store, finding.key, now_ns,
                    "the verdict changed from " + finding.muted_as + " to " + now);
}

Result<int> end_mutes(StoreWriter& store, std::int64_t now_ns, int limit) {
  ASSAY_ASSIGN(const auto ended, store.ended_mutes(now_ns, limit));
  for (const FindingKey finding : ended)
    ASSAY_TRY(bring_back(store, finding, now_ns, "the mute ended"));
  return static_cast<int>(ended.size());
}

}  // namespace assay::collector
