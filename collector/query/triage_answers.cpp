// SPDX-License-Identifier: Apache-2.0
#include "collector/query/triage_answers.h"

#include "collector/core/triage.h"
#include "collector/query/to_wire.h"

namespace assay::collector {

Result<void> TriageAnswers::get_finding(const v1::GetFindingRequest& request,
                                        v1::FindingDetail& response) {
  ASSAY_ASSIGN(const FindingDetailView detail, store_.finding(request.finding()));
  to_wire(detail.finding, *response.mutable_finding());
  for (const TriageEntry& entry : detail.history) {
    v1::TriageEntry& one = *response.add_history();
    one.set_time_ns(entry.time_ns);
    one.set_actor(entry.actor);
    one.set_action(entry.action);
    one.set_note(entry.note);
    one.set_assignee(entry.assignee);
    one.set_muted_until_ns(entry.muted_until_ns);
  }
  return ok();
}

Result<void> TriageAnswers::change(const Actor& actor, const v1::ChangeFindingRequest& request,
                                   v1::ChangedFinding& response) {
  TriageChange change;
  change.finding = request.finding();
  ASSAY_ASSIGN(change.action, parse_triage_action(request.action()));
  change.note = request.note();
  change.assignee = request.assignee();
  change.muted_until_ns = request.muted_until_ns();
  change.revision = request.revision();
  change.actor = actor;
  change.now_ns = to_unix_ns(clock_.wall_now());
  ASSAY_TRY(check_triage(change, std::chrono::nanoseconds(max_mute_ns_)));
  const auto outcome = std::make_shared<TriageOutcome>();  // the work may outlive this call
  ASSAY_TRY(
      ledger_.change(request.ByteSizeLong(), [change, outcome](StoreWriter& store) -> Result<void> {
        ASSAY_ASSIGN(*outcome, apply_triage(store, change));
        return ok();
      }));
  ASSAY_ASSIGN(const FindingDetailView detail, store_.finding(outcome->finding_id));
  to_wire(detail.finding, *response.mutable_finding());
  response.set_is_changed(outcome->is_changed);
  response.set_said(outcome->said);
  return ok();
}

}  // namespace assay::collector
