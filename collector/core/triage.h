// SPDX-License-Identifier: Apache-2.0
// What people do about findings, and when a muted one comes back. All on the commit thread, inside
// a transaction.
#pragma once

#include <cstdint>
#include <string>

#include "collector/core/principal.h"
#include "collector/core/store.h"
#include "common/base/clock.h"

namespace assay::collector {

enum class TriageAction { kAcknowledge, kAssign, kUnassign, kMute, kUnmute, kReopen };
std::string_view to_string(TriageAction action);  ///< acknowledge, assign, …
Result<TriageAction> parse_triage_action(std::string_view text);

inline constexpr std::size_t kMaxNoteBytes = 1000;

struct TriageChange {
  std::string finding;  ///< id, or how it begins
  TriageAction action{};
  std::string note;                 ///< of kMute: the reason
  std::string assignee = {};        ///< of kAssign
  std::int64_t muted_until_ns = 0;  ///< of kMute
  std::uint64_t revision = 0;       ///< that was seen; 0 = whatever it is
  Actor actor = {};
  std::int64_t now_ns = 0;
};

struct TriageOutcome {
  std::string finding_id;
  bool is_changed = false;
  std::string said;  ///< why nothing was changed, or what it took the place of
};

/// Checks what can be checked without a store. `max_mute`: how far away the end of a mute may be.
/// Errors: kInvalidArgument.
Result<void> check_triage(const TriageChange& change, std::chrono::nanoseconds max_mute);

/// Errors: kNotFound, kInvalidArgument (no such id, resolved, nothing to take back),
/// kAlreadyExists (somebody changed it since `revision`; says who and what).
Result<TriageOutcome> apply_triage(StoreWriter& store, const TriageChange& change);

/// A new reason; a muted finding comes back when it is another one.
Result<void> change_reason(StoreWriter& store, const OpenFinding& finding,
                           const std::string& reason, std::int64_t now_ns);
Result<void> change_reason(StoreWriter& store, const std::string& finding_id,
                           const std::string& reason, std::int64_t now_ns);
/// A muted finding comes back when the verdict on its run is another one than it was muted under.
/// More evidence for the same verdict is no other one.
Result<void> follow_verdict(StoreWriter& store, const OpenFinding& finding,
                            const catalog::Verdict& verdict, std::int64_t now_ns);
/// Brings back up to `limit` findings whose mute is over; how many it were.
Result<int> end_mutes(StoreWriter& store, std::int64_t now_ns, int limit);

}  // namespace assay::collector
