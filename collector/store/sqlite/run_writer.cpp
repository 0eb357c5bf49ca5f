// SPDX-License-Identifier: Apache-2.0
// SqliteWriter's rows of runs and execs.
#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/digest_column.h"
#include "collector/store/sqlite/name_columns.h"
#include "collector/store/sqlite/writer.h"
#include "common/catalog/exemption.h"

namespace assay::collector {
namespace {

using sqlite::Statement;

template <typename Id>
std::int64_t number(Id id) {
  return static_cast<std::int64_t>(id);
}

/// Whom to tell of the run: a contact that its labels name, else what it belongs to.
std::string owner_of(const ContainerNames& names) {
  std::string contact = catalog::contact_of(names);
  return contact.empty() ? catalog::workload_of(names) : contact;
}

constexpr std::string_view kOpenRunColumns =
    "SELECT run_key, stack_id, node_id, run_id, started_ns, ended_ns, is_open, is_overdue,"
    " overdue_at_ns, claim_conflicts, exemption, masked, kind, rogue, identity_conflicts"
    " FROM runs ";

Result<OpenRun> read_run(const Statement& row) {
  OpenRun run;
  run.key = RunKey{row.integer(0)};
  run.stack = StackId{row.integer(1)};
  run.node = NodeId{row.integer(2)};
  run.run_id = row.text(3);
  run.started_ns = row.integer(4);
  run.ended_ns = row.integer(5);
  run.is_open = row.integer(6) != 0;
  run.is_overdue = row.integer(7) != 0;
  run.overdue_at_ns = row.integer(8);
  ASSAY_ASSIGN(run.claim_conflicts, decode_texts(row.text(9)));
  run.exemption = row.text(10);
  run.masked = row.text(11);
  run.kind = row.text(12);
  run.rogue = row.text(13);
  if (const std::string conflicts = row.text(14); !conflicts.empty()) {
    ASSAY_ASSIGN(run.identity_conflicts, decode_texts(conflicts));
  }
  return run;
}

}  // namespace

Result<void> SqliteWriter::count_running(StackId stack, std::int64_t change_by) {
  return change("UPDATE stacks SET running=running+? WHERE stack_id=?", change_by, number(stack));
}

Result<std::optional<RunKey>> SqliteWriter::add_run(const NewRun& run) {
  const RunStarted& start = *run.start;
  const RunOrigin& origin = start.origin;
  const ContainerNames& names = start.names;
  std::string agent_verdict;
  catalog::Verdict theirs;
  if (start.agent_verdict) {
    theirs = *start.agent_verdict;
    agent_verdict = catalog::to_string(theirs.status);
  }
  ASSAY_TRY(change(
      "INSERT INTO runs(run_id, node_id, stack_id, kind, cause, is_late, started_ns, container_id,"
      " container_name, runtime, image, image_id, config_digest, manifest_digest, repo_digest,"
      " pod_name, pod_namespace, pod_uid, labels,"
      " executable, arguments, arguments_truncated, pid, process_start_ns, process_name, ancestors,"
      " namespace_pids, uid, gid, cgroup_path, cgroup_id, mount_namespace, pid_namespace,"
      " user_namespace, root_type, agent_verdict, agent_base, agent_catalog_sequence,"
      " verdict_differs, told_in, is_bound_to_kernel, is_users_to_write, owner, login,"
      " posture, posture_traits) "
      "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
      "?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
      start.run_id, number(run.node), number(run.stack), start.kind, origin.cause, start.is_late,
      start.started_ns, names.container_id, names.name, names.runtime, names.image, names.image_id,
      blob(names.config_digest), blob(names.manifest_digest), blob(names.repo_digest),
      names.pod_name, names.pod_namespace, names.pod_uid, encode(names.labels), start.executable,
      encode(origin.arguments), origin.arguments_truncated, start.process.pid,
      start.process.start_ns, start.process.name, encode(origin.ancestors),
      encode(origin.namespace_pids), origin.uid, origin.gid, start.cgroup_path, origin.cgroup_id,
      origin.mount_namespace, origin.pid_namespace, origin.user_namespace, origin.root_type,
      agent_verdict, theirs.base_name(), theirs.catalog_sequence, run.verdict_differs, run.told_in,
      names.is_bound_to_kernel, names.is_users_to_write, owner_of(names), encode(origin.login),
      encode(origin.posture), origin.posture.traits));
  if (database_.changes() == 0) return std::optional<RunKey>();
  const RunKey key{database_.last_insert_id()};
  ASSAY_TRY(count_running(run.stack, 1));
  return std::optional<RunKey>(key);
}

Result<std::optional<OpenRun>> SqliteWriter::find_run(NodeId node, const RunId& run_id) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare(std::string(kOpenRunColumns) + "WHERE run_id=? AND node_id=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(run_id, number(node)).step());
  if (!is_there) return std::optional<OpenRun>();
  ASSAY_ASSIGN(OpenRun run, read_run(*query));
  query->reset();
  return std::optional<OpenRun>(std::move(run));
}

Result<std::vector<OpenRun>> SqliteWriter::read_runs(Statement& query) {
  std::vector<OpenRun> runs;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query.step());
    if (!is_row) break;
    ASSAY_ASSIGN(OpenRun run, read_run(query));
    runs.push_back(std::move(run));
  }
  query.reset();
  return runs;
}

Result<std::vector<OpenRun>> SqliteWriter::open_runs_on(StackId stack, RunKey after, int limit) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare(std::string(kOpenRunColumns) +
                                 "WHERE stack_id=? AND is_open = 1 AND run_key > ?"
                                 " ORDER BY run_key LIMIT ?"));
  return read_runs(query->bind(number(stack), number(after), limit));
}

Result<void> SqliteWriter::end_run(const OpenRun& run, std::int64_t ended_ns, bool is_approximate,
                                   std::int64_t told_ns) {
  ASSAY_TRY(
      change("UPDATE runs SET ended_ns=?, end_is_approximate=?, end_told_ns=? WHERE run_key=?",
             ended_ns, is_approximate, told_ns, number(run.key)));
  return count_running(run.stack, -1);
}

Result<void> SqliteWriter::reopen_run(const OpenRun& run) {
  ASSAY_TRY(change(
      "UPDATE runs SET ended_ns=0, end_is_approximate=0, end_told_ns=0, is_open=1 WHERE run_key=?",
      number(run.key)));
  return count_running(run.stack, 1);
}

Result<void> SqliteWriter::set_told_in(RunKey run, std::uint64_t state) {
  return change("UPDATE runs SET told_in=? WHERE run_key=?", state, number(run));
}

Result<std::vector<OpenRun>> SqliteWriter::untold_runs(NodeId node, std::uint64_t state,
                                                       int limit) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare(std::string(kOpenRunColumns) +
                                 "WHERE node_id=? AND ended_ns = 0 AND told_in < ?"
                                 " ORDER BY told_in, run_key LIMIT ?"));
  return read_runs(query->bind(number(node), state, limit));
}

Result<void> SqliteWriter::name_run(RunKey run, const ContainerNames& names) {
  return change(
      "UPDATE runs SET container_id=?, container_name=?, runtime=?, image=?, image_id=?,"
      " config_digest=?, manifest_digest=?, repo_digest=?, pod_name=?, pod_namespace=?, pod_uid=?,"
      " labels=?, is_bound_to_kernel=?, is_users_to_write=?, owner=? WHERE run_key=?",
      names.container_id, names.name, names.runtime, names.image, names.image_id,
      blob(names.config_digest), blob(names.manifest_digest), blob(names.repo_digest),
      names.pod_name, names.pod_namespace, names.pod_uid, encode(names.labels),
      names.is_bound_to_kernel, names.is_users_to_write, owner_of(names), number(run));
}

Result<void> SqliteWriter::set_claim_conflicts(RunKey run,
                                               const std::vector<std::string>& conflicts) {
  return change("UPDATE runs SET claim_conflicts=? WHERE run_key=?", encode(conflicts),
                number(run));
}

Result<void> SqliteWriter::set_kind(RunKey run, const std::string& kind) {
  return change("UPDATE runs SET kind=? WHERE run_key=?", kind, number(run));
}

Result<void> SqliteWriter::set_recognition(RunKey run, const catalog::Recognition& recognition) {
  const std::string conflicts =
      recognition.conflicts.empty() ? std::string() : encode(recognition.conflicts);
  if (recognition.state == catalog::RecognitionState::kUntold)
    return change("UPDATE runs SET identity_conflicts=? WHERE run_key=?", conflicts, number(run));
  return change(
      "UPDATE runs SET recognition=?, recognition_reason=?, rogue=?, identity_conflicts=?"
      " WHERE run_key=?",
      catalog::to_string(recognition.state), recognition.reason, recognition.rogue_reason(),
      conflicts, number(run));
}

Result<void> SqliteWriter::set_view(RunKey run, const catalog::View& view) {
  return change("UPDATE runs SET view=?, masked=? WHERE run_key=?", encode(view),
                catalog::masked_reason(view), number(run));
}

Result<void> SqliteWriter::move_runs(StackId from, StackId to, Moved moved) {
  const char* const update = moved == Moved::kRunning
                                 ? "UPDATE runs SET stack_id=? WHERE stack_id=? AND ended_ns=0"
                                 : "UPDATE runs SET stack_id=? WHERE stack_id=?";
  ASSAY_TRY(change(update, number(to), number(from)));
  ASSAY_TRY(
      change("UPDATE stacks SET running=running+(SELECT running FROM stacks WHERE stack_id=?)"
             " WHERE stack_id=?",
             number(from), number(to)));
  return change("UPDATE stacks SET running=0 WHERE stack_id=?", number(from));
}

Result<void> SqliteWriter::move_run(const OpenRun& run, StackId to) {
  ASSAY_TRY(change("UPDATE runs SET stack_id=? WHERE run_key=?", number(to), number(run.key)));
  ASSAY_TRY(count_running(run.stack, -1));
  return count_running(to, 1);
}

Result<void> SqliteWriter::set_run_state(const OpenRun& run) {
  return change(
      "UPDATE runs SET is_open=?, is_overdue=?, overdue_at_ns=?, exemption=? WHERE run_key=?",
      run.is_open, run.is_overdue, run.overdue_at_ns, run.exemption, number(run.key));
}

Result<ContainerNames> SqliteWriter::run_names(RunKey run) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT r.labels, " + std::string(kNameColumns) +
                                 " FROM runs r WHERE r.run_key=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(number(run)).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "there is no such run"};
  const std::string labels = query->text(0);
  ASSAY_ASSIGN(ContainerNames names, read_names(*query, 1));
  query->reset();
  ASSAY_ASSIGN(names.labels, decode_map(labels));
  return names;
}

Result<bool> SqliteWriter::has_ruled_runs(StackId stack) {
  ASSAY_ASSIGN(Statement * query, database_.prepare("SELECT 1 FROM runs WHERE stack_id=? AND"
                                                    " (exemption <> '' OR rogue <> '' OR"
                                                    " kind = 'sandbox') AND is_open = 1 LIMIT 1"));
  ASSAY_ASSIGN(const bool is_row, query->bind(number(stack)).step());
  query->reset();
  return is_row;
}

Result<std::vector<OpenRun>> SqliteWriter::overdue_runs(std::int64_t now_ns, int limit) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare(std::string(kOpenRunColumns) +
                                 "WHERE overdue_at_ns > 0 AND overdue_at_ns <= ? LIMIT ?"));
  return read_runs(query->bind(now_ns, limit));
}

Result<std::optional<std::int64_t>> SqliteWriter::next_overdue_ns() {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT min(overdue_at_ns) FROM runs WHERE overdue_at_ns > 0"));
  ASSAY_ASSIGN(const bool is_row, query->step());
  std::optional<std::int64_t> next;
  if (is_row && !query->is_null(0)) next = query->integer(0);
  query->reset();
  return next;
}

Result<void> SqliteWriter::add_exec(RunKey run, const Exec& exec) {
  return change(
      "INSERT INTO execs(run_key, time_ns, pid, process_start_ns, process_name, parent_pid,"
      " parent_start_ns, parent_name, uid, executable, arguments, arguments_truncated,"
      " is_from_upper, origin, path, is_interpreter) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
      number(run), exec.time_ns, exec.process.pid, exec.process.start_ns, exec.process.name,
      exec.parent.pid, exec.parent.start_ns, exec.parent.name, exec.uid, exec.executable,
      encode(exec.arguments), exec.arguments_truncated, exec.is_from_upper,
      catalog::to_string(exec.origin), exec.path, exec.is_interpreter);
}

}  // namespace assay::collector
