// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/triage_rows.h"

#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::size_t kLeastDigits = 8;
constexpr std::size_t kMaxDigits = 64;

}  // namespace

TriageState read_triage(const sqlite::Statement& row, int first) {
  TriageState state;
  state.acknowledged_by = row.text(first);
  state.acknowledged_ns = row.integer(first + 1);
  state.acknowledged_note = row.text(first + 2);
  state.assignee = row.text(first + 3);
  state.assigned_by = row.text(first + 4);
  state.muted_by = row.text(first + 5);
  state.muted_ns = row.integer(first + 6);
  state.muted_until_ns = row.integer(first + 7);
  state.muted_reason = row.text(first + 8);
  state.muted_as = row.text(first + 9);
  state.revision = static_cast<std::uint64_t>(row.integer(first + 10));
  return state;
}

Result<FindingKey> find_finding_key(sqlite::Database& database, const std::string& id) {
  const std::string shown = escape_untrusted(id, 80);
  if (id.size() < kLeastDigits || id.size() > kMaxDigits ||
      id.find_first_not_of("0123456789abcdef") != std::string::npos)
    return Error{ErrorCode::kInvalidArgument,
                 "\"" + shown + "\" is no id of a finding: 32 hex digits, or the first " +
                     std::to_string(kLeastDigits) +
                     " or more of them (assay findings -o wide shows ids)"};
  // 'g' is the character after 'f'.
  ASSAY_ASSIGN(sqlite::Statement * query,
               database.prepare("SELECT finding_key FROM findings WHERE finding_id >= ?"
                                " AND finding_id < ? ORDER BY finding_id LIMIT 2"));
  ASSAY_ASSIGN(const bool is_there, query->bind(id, id + "g").step());
  if (!is_there) {
    query->reset();
    return Error{ErrorCode::kNotFound, "there is no finding " + shown};
  }
  const FindingKey key{query->integer(0)};
  ASSAY_ASSIGN(const bool is_another, query->step());
  query->reset();
  if (is_another)
    return Error{ErrorCode::kInvalidArgument,
                 "several findings begin with " + shown + ": give more digits of the id"};
  return key;
}

}  // namespace assay::collector
