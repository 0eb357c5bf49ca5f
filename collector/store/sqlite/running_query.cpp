// SPDX-License-Identifier: Apache-2.0
// Everything that runs now, stack by stack.
#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/file_set_rows.h"
#include "collector/store/sqlite/name_columns.h"
#include "collector/store/sqlite/queries.h"
#include "collector/store/sqlite/stack_rows.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

Result<std::vector<std::int64_t>> running_stacks(Database& database) {
  ASSAY_ASSIGN(Statement * query, database.prepare("SELECT stack_id FROM stacks WHERE running > 0"
                                                   " AND is_described = 1 ORDER BY stack_id"));
  std::vector<std::int64_t> ids;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    ids.push_back(query->integer(0));
  }
  query->reset();
  return ids;
}

Result<RunningStack> load_stack(Database& database, std::int64_t id) {
  RunningStack loaded;
  ASSAY_ASSIGN(loaded.stack, load_description(database, StackId{id}));
  loaded.node = {loaded.stack.cluster, loaded.stack.node};
  ASSAY_ASSIGN(Statement * query, database.prepare("SELECT s.running, s.file_set_state, " +
                                                   std::string(kVerdictColumns) +
                                                   " FROM stacks s WHERE s.stack_id=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(id).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "there is no such stack"};
  loaded.running = static_cast<std::uint64_t>(query->integer(0));
  const bool has_files = query->integer(1) != 0;
  ASSAY_ASSIGN(loaded.verdict, read_verdict(*query, 2));
  query->reset();
  ASSAY_ASSIGN(loaded.verdict.matches, load_matches(database, StackId{id}));
  if (has_files) {
    ASSAY_ASSIGN(loaded.containment, load_containment(database, StackId{id}));
  }
  return loaded;
}

Result<std::vector<RunningRun>> load_runs(Database& database, std::int64_t stack) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT r.run_id, r.started_ns, r.claim_conflicts, r.labels,"
                                " r.identity_conflicts, r.kind, r.rogue, " +
                                std::string(kNameColumns) +
                                " FROM runs r WHERE r.stack_id=? AND r.ended_ns = 0"));
  query->bind(stack);
  std::vector<RunningRun> runs;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    RunningRun run;
    run.run_id = query->text(0);
    run.started_ns = query->integer(1);
    run.has_conflicts = query->text(2) != "[]" || !query->text(4).empty();
    run.kind = query->text(5);
    run.rogue = query->text(6);
    ASSAY_ASSIGN(run.names, read_names(*query, 7));
    ASSAY_ASSIGN(run.names.labels, decode_map(query->text(3)));
    runs.push_back(std::move(run));
  }
  query->reset();
  return runs;
}

}  // namespace

Result<void> query_running(Database& database, const Store::VisitRunning& visit) {
  ASSAY_ASSIGN(const auto ids, running_stacks(database));
  for (const std::int64_t id : ids) {
    ASSAY_ASSIGN(const RunningStack stack, load_stack(database, id));
    ASSAY_TRY(visit(stack, {[&] { return load_runs(database, id); },
                            [&] { return load_stack_files(database, StackId{id}); }}));
  }
  return ok();
}

}  // namespace assay::collector
