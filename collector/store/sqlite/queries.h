// SPDX-License-Identifier: Apache-2.0
// The reading half of the store: each function runs inside one read transaction.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/store.h"
#include "common/sqlite/database.h"

namespace assay::collector {

Result<catalog::SignedLog> query_catalog(sqlite::Database& database);
Result<JudgingRound> query_round(sqlite::Database& database);
Result<Enrolments> query_enrolments(sqlite::Database& database);
Result<std::vector<NodeView>> query_nodes(sqlite::Database& database);
Result<Page<RunView>> query_runs(sqlite::Database& database, const RunFilter& filter,
                                 std::optional<Cursor> after, int limit);
/// In the order of `keys`; those that are gone are left out.
Result<std::vector<RunView>> query_runs_by_key(sqlite::Database& database,
                                               const std::vector<std::int64_t>& keys);
Result<Page<FindingView>> query_findings(sqlite::Database& database, const FindingFilter& filter,
                                         std::optional<Cursor> after, int limit);
Result<TraceView> query_trace(sqlite::Database& database, const std::string& target,
                              const std::string& node);
Result<void> query_running(sqlite::Database& database, const Store::VisitRunning& visit);
/// `second`: another connection on the same snapshot, which takes half of the counting; may be
/// null.
Result<ImpactView> query_impact(sqlite::Database& database, sqlite::Database* second,
                                const std::string& base);
/// " AND …" for a table of nodes `n`, where `parameter` (e.g. "?3") is bound to `node`: NAME or
/// CLUSTER/NAME; "" for any node.
std::string node_condition(const std::string& node, const std::string& parameter);
Result<std::vector<AuditEntry>> query_audit_log(sqlite::Database& database, int limit);
Result<Page<AuditEntry>> query_audit(sqlite::Database& database, const AuditFilter& filter,
                                     std::optional<Cursor> after, int limit);
Result<FindingDetailView> query_finding(sqlite::Database& database, const std::string& id);
Result<FindingCounts> query_finding_counts(sqlite::Database& database);
Result<std::vector<TokenRow>> query_tokens(sqlite::Database& database);

}  // namespace assay::collector
