// SPDX-License-Identifier: Apache-2.0
// Messages about people: who they are, their tokens, what they did.
#include "cli/from_wire.h"

namespace assay::cli {

FindingDetail from_wire(const v1::FindingDetail& wire) {
  FindingDetail detail;
  detail.finding = from_wire(wire.finding());
  for (const v1::TriageEntry& entry : wire.history())
    detail.history.push_back({time_from(entry.time_ns()), entry.actor(), entry.action(),
                              entry.note(), entry.assignee(), time_from(entry.muted_until_ns())});
  return detail;
}

Identity from_wire(const v1::Identity& wire) {
  return {wire.name(),
          wire.role(),
          wire.means(),
          wire.token_id(),
          {wire.scopes().begin(), wire.scopes().end()},
          time_from(wire.expires_ns()),
          wire.address()};
}

Token from_wire(const v1::Token& wire) {
  return {wire.token_id(),
          wire.name(),
          wire.role(),
          {wire.scopes().begin(), wire.scopes().end()},
          wire.state(),
          time_from(wire.created_ns()),
          wire.created_by(),
          time_from(wire.expires_ns()),
          time_from(wire.last_used_ns()),
          time_from(wire.revoked_ns()),
          wire.revoked_by()};
}

AuditEntry from_wire(const v1::AuditEntry& wire) {
  return {time_from(wire.time_ns()),
          wire.actor(),
          wire.action(),
          wire.subject(),
          wire.outcome(),
          wire.detail(),
          wire.peer()};
}

}  // namespace assay::cli
