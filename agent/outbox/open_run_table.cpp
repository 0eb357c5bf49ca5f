// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/open_run_table.h"

namespace assay::agent {
namespace {

sqlite::Statement::Blob blob(std::string_view bytes) {
  return {bytes};
}

std::int64_t number(std::chrono::nanoseconds time) {
  return time.count();
}

Result<void> put(sqlite::Database& database, const std::string& boot_id, const OpenRun& run) {
  ASSAY_ASSIGN(sqlite::Statement * insert, database.prepare(R"sql(
    INSERT OR REPLACE INTO open_runs (run_id, boot_id, root_device, root_inode, root_generation,
      root_magic, cgroup_id, first_tgid, first_start_boot_ns, started_ns, started_boot_ns, stack)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql"));
  const RootIdentity& root = run.key.root;
  insert->bind(run.run_id, boot_id, root.device, root.inode, root.generation, root.magic,
               run.key.cgroup_id, run.first_process.tgid, number(run.first_process.start),
               to_unix_ns(run.started), number(run.started_boot), blob(run.stack.raw()));
  return insert->run();
}

Result<OpenRun> read_run(const sqlite::Statement& row) {
  const auto unsigned_at = [&row](int column) {
    return static_cast<std::uint64_t>(row.integer(column));
  };
  OpenRun run;
  run.run_id = row.text(0);
  run.key.root.device = unsigned_at(1);
  run.key.root.inode = unsigned_at(2);
  run.key.root.generation = static_cast<std::uint32_t>(row.integer(3));
  run.key.root.magic = static_cast<std::uint32_t>(row.integer(4));
  run.key.cgroup_id = unsigned_at(5);
  run.first_process.tgid = static_cast<std::uint32_t>(row.integer(6));
  run.first_process.start = BootTime(row.integer(7));
  run.started = from_unix_ns(row.integer(8));
  run.started_boot = BootTime(row.integer(9));
  ASSAY_ASSIGN(run.stack, StackDigest::from_raw(row.text(10)));
  return run;
}

}  // namespace

const char* const kOpenRunTable = R"sql(
  CREATE TABLE open_runs (
    run_id TEXT PRIMARY KEY,
    boot_id TEXT NOT NULL,
    root_device INTEGER NOT NULL,
    root_inode INTEGER NOT NULL,
    root_generation INTEGER NOT NULL,
    root_magic INTEGER NOT NULL,
    cgroup_id INTEGER NOT NULL,
    first_tgid INTEGER NOT NULL,
    first_start_boot_ns INTEGER NOT NULL,
    started_ns INTEGER NOT NULL,
    started_boot_ns INTEGER NOT NULL,
    stack BLOB NOT NULL) WITHOUT ROWID;
  CREATE INDEX open_runs_by_stack ON open_runs (stack);
)sql";

Result<void> apply(sqlite::Database& database, const std::string& boot_id,
                   const RunChange& change) {
  if (const auto* run = std::get_if<OpenRun>(&change)) return put(database, boot_id, *run);
  if (const auto* closed = std::get_if<RunClosed>(&change)) {
    ASSAY_ASSIGN(sqlite::Statement * remove,
                 database.prepare("DELETE FROM open_runs WHERE run_id = ?"));
    return remove->bind(closed->run_id).run();
  }
  if (const auto* moved = std::get_if<RunsMoved>(&change)) {
    ASSAY_ASSIGN(sqlite::Statement * move,
                 database.prepare("UPDATE open_runs SET stack = ? WHERE stack = ?"));
    return move->bind(blob(moved->to.raw()), blob(moved->from.raw())).run();
  }
  if (const auto* one = std::get_if<RunMoved>(&change)) {
    ASSAY_ASSIGN(sqlite::Statement * move,
                 database.prepare("UPDATE open_runs SET stack = ? WHERE run_id = ?"));
    return move->bind(blob(one->to.raw()), one->run_id).run();
  }
  return ok();
}

Result<std::vector<OpenRun>> load_open_runs(sqlite::Database& database, const std::string& boot_id,
                                            OfBoot which) {
  ASSAY_ASSIGN(sqlite::Statement * query, database.prepare(R"sql(
    SELECT run_id, root_device, root_inode, root_generation, root_magic, cgroup_id, first_tgid,
      first_start_boot_ns, started_ns, started_boot_ns, stack
    FROM open_runs WHERE (boot_id = ?) = ? ORDER BY run_id)sql"));
  query->bind(boot_id, which == OfBoot::kThis);
  std::vector<OpenRun> runs;
  for (;;) {
    ASSAY_ASSIGN(const bool has_row, query->step());
    if (!has_row) break;
    ASSAY_ASSIGN(OpenRun run, read_run(*query));
    runs.push_back(std::move(run));
  }
  query->reset();
  return runs;
}

}  // namespace assay::agent
