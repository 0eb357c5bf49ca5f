// SPDX-License-Identifier: Apache-2.0
// Runs: lists, one run's trace, and the blast radius of a base.
#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/file_set_rows.h"
#include "collector/store/sqlite/name_columns.h"
#include "collector/store/sqlite/queries.h"
#include "collector/store/sqlite/stack_rows.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

/// More stacks than this on a base: walking all runs newest first finds a page sooner than sorting
/// all runs of the base.
constexpr int kManyStacks = 2000;
constexpr std::string_view kMaxCodePoint = "\xF4\x8F\xBF\xBF";
constexpr std::size_t kMinIdPrefix = 12;

const std::string& run_columns() {
  static const std::string columns =
      "r.run_key, r.run_id, n.cluster, n.node, r.kind, r.is_late, r.started_ns, r.ended_ns,"
      " r.labels, s.digest, s.layers, r.executable, r.pid, r.process_start_ns, r.process_name,"
      " r.cgroup_path, s.stack_id, s.is_described, " +
      std::string(kVerdictColumns) + ", " + std::string(kNameColumns) + ", r.exemption";
  return columns;
}

struct RunRow {
  std::int64_t key = 0;
  StackId stack{};
  RunView view;
};

Result<RunRow> read_run(const Statement& row) {
  RunRow run;
  run.key = row.integer(0);
  RunView& view = run.view;
  view.run_id = row.text(1);
  view.node = {row.text(2), row.text(3)};
  view.kind = row.text(4);
  view.is_late = row.integer(5) != 0;
  view.started_ns = row.integer(6);
  view.ended_ns = row.integer(7);
  ASSAY_ASSIGN(view.names, read_names(row, 18 + kVerdictColumnCount));
  ASSAY_ASSIGN(view.names.labels, decode_map(row.text(8)));
  ASSAY_ASSIGN(const StackDigest digest, StackDigest::from_raw(row.text(9)));
  view.stack = digest;
  view.layers = static_cast<std::uint32_t>(row.integer(10));
  view.executable = row.text(11);
  view.process = {static_cast<std::uint32_t>(row.integer(12)), row.integer(13), row.text(14)};
  view.cgroup_path = row.text(15);
  view.exemption = row.text(18 + kVerdictColumnCount + kNameColumnCount);
  run.stack = StackId{row.integer(16)};
  ASSAY_ASSIGN(view.verdict, read_verdict(row, 18));
  if (row.integer(17) == 0) view.verdict.reason = "the node has not described this stack yet";
  return run;
}

/// All rows of a bound query, then the matches of each.
Result<std::vector<RunRow>> read_runs(Database& database, Statement& query) {
  std::vector<RunRow> runs;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query.step());
    if (!is_row) break;
    ASSAY_ASSIGN(RunRow run, read_run(query));
    runs.push_back(std::move(run));
  }
  query.reset();
  for (auto& run : runs) {
    ASSAY_ASSIGN(run.view.verdict.matches, load_matches(database, run.stack));
  }
  return runs;
}

struct BaseText {
  std::string name;
  std::string version;  ///< "": all
};

BaseText split_base(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::string match_condition(const BaseText& base) {
  return base.version.empty() ? "m.base_name = ?4" : "m.base_name = ?4 AND m.base_version = ?5";
}

/// The stacks that a filter leaves, as a subquery; "" when the filter does not speak of stacks.
std::string stacks_of(const RunFilter& filter, const BaseText& base) {
  if (!base.name.empty())
    return "SELECT DISTINCT m.stack_id FROM stack_matches m WHERE " + match_condition(base);
  if (filter.verdict) return "SELECT v.stack_id FROM stacks v WHERE v.verdict = ?6";
  return "";
}

/// Binds what every query below refers to: ?1 … ?8 always, whether used or not, and ?9 is there
/// always, so that the numbers exist.
void bind_filter(Statement& query, const RunFilter& filter, const BaseText& base,
                 const Cursor& cursor, int limit) {
  query.bind(cursor.time_ns, cursor.key, filter.node, base.name, base.version,
             filter.verdict ? catalog::to_string(*filter.verdict) : std::string_view(),
             filter.container, filter.container + std::string(kMaxCodePoint), limit);
}

/// Whether to begin with the few stacks that are meant, instead of walking runs newest first.
Result<bool> begins_with_stacks(Database& database, const RunFilter& filter, const BaseText& base) {
  const std::string stacks = stacks_of(filter, base);
  if (stacks.empty()) return false;
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT count(*) FROM (" + stacks + " LIMIT ?9)"));
  bind_filter(*query, filter, base, Cursor{}, kManyStacks);
  ASSAY_ASSIGN(const bool is_row, query->step());
  const bool are_few = is_row && query->integer(0) < kManyStacks;
  query->reset();
  return are_few;
}

std::string runs_sql(const RunFilter& filter, const BaseText& base, bool with_stacks,
                     bool is_continued) {
  std::string sql = "SELECT " + run_columns() + " FROM ";
  if (with_stacks)
    sql += "(" + stacks_of(filter, base) + ") b CROSS JOIN runs r ON r.stack_id = b.stack_id";
  else
    sql += "runs r";
  sql += " JOIN stacks s ON s.stack_id = r.stack_id JOIN nodes n ON n.node_id = r.node_id WHERE 1";
  if (!filter.include_ended) sql += " AND r.ended_ns = 0";
  if (is_continued) sql += " AND (r.started_ns, r.run_key) < (?1, ?2)";
  sql += node_condition(filter.node, "?3");
  // The + keeps the planner from walking all matches of the base for each run.
  if (!base.name.empty() && !with_stacks)
    sql += " AND EXISTS(SELECT 1 FROM stack_matches m WHERE m.stack_id = r.stack_id AND +" +
           match_condition(base) + ")";
  if (filter.verdict) sql += " AND s.verdict = ?6";
  if (!filter.container.empty())
    sql +=
        " AND ((r.container_id <> '' AND r.container_id >= ?7 AND r.container_id < ?8)"
        " OR (r.container_name <> '' AND r.container_name = ?7))";
  if (filter.posture != 0)  // a number of ours, no text of anybody's
    sql += " AND (r.posture_traits & " + std::to_string(filter.posture) +
           ") = " + std::to_string(filter.posture);
  return sql + " ORDER BY r.started_ns DESC, r.run_key DESC LIMIT ?9";
}

/// The newest run that answers to `target`, on `node` (see node_condition).
Result<std::optional<std::int64_t>> find_target(Database& database, const std::string& target,
                                                const std::string& node) {
  struct Attempt {
    const char* condition;
    std::size_t min_bytes;
  };
  for (const Attempt& attempt :
       {Attempt{"r.run_id = ?1", 32},
        Attempt{"r.container_id <> '' AND r.container_id >= ?1 AND r.container_id < ?2",
                kMinIdPrefix},
        Attempt{"r.container_name <> '' AND r.container_name = ?1", 1},
        Attempt{"r.container_id <> '' AND r.container_id = ?1", 1}}) {
    if (target.size() < attempt.min_bytes) continue;
    ASSAY_ASSIGN(
        Statement * query,
        database.prepare("SELECT r.run_key FROM runs r JOIN nodes n USING(node_id) WHERE " +
                         std::string(attempt.condition) + node_condition(node, "?3") +
                         " AND ?2 <> ?4 ORDER BY r.started_ns DESC LIMIT 1"));
    ASSAY_ASSIGN(const bool is_there,
                 query->bind(target, target + std::string(kMaxCodePoint), node, "").step());
    if (!is_there) continue;
    const std::int64_t key = query->integer(0);
    query->reset();
    return std::optional<std::int64_t>(key);
  }
  return std::optional<std::int64_t>();
}

Result<RunOrigin> load_origin(Database& database, std::int64_t key) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT cause, ancestors, namespace_pids, uid, gid, cgroup_id,"
                                " mount_namespace, pid_namespace, user_namespace, arguments,"
                                " arguments_truncated, root_type, login, posture, posture_traits"
                                " FROM runs WHERE run_key=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(key).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "the run is gone"};
  RunOrigin origin;
  origin.cause = query->text(0);
  ASSAY_ASSIGN(origin.ancestors, decode_processes(query->text(1)));
  ASSAY_ASSIGN(origin.namespace_pids, decode_numbers(query->text(2)));
  origin.uid = static_cast<std::uint32_t>(query->integer(3));
  origin.gid = static_cast<std::uint32_t>(query->integer(4));
  origin.cgroup_id = static_cast<std::uint64_t>(query->integer(5));
  origin.mount_namespace = static_cast<std::uint64_t>(query->integer(6));
  origin.pid_namespace = static_cast<std::uint64_t>(query->integer(7));
  origin.user_namespace = static_cast<std::uint64_t>(query->integer(8));
  ASSAY_ASSIGN(origin.arguments, decode_texts(query->text(9)));
  origin.arguments_truncated = query->integer(10) != 0;
  origin.root_type = query->text(11);
  ASSAY_ASSIGN(origin.login, decode_login(query->text(12)));
  ASSAY_ASSIGN(origin.posture, decode_posture(query->text(13), query->integer(14)));
  query->reset();
  return origin;
}

Result<std::vector<Exec>> load_execs(Database& database, std::int64_t run) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT time_ns, pid, process_start_ns, process_name, parent_pid,"
                                " parent_start_ns, parent_name, uid, executable, arguments,"
                                " arguments_truncated, is_from_upper, origin, path,"
                                " is_interpreter FROM execs WHERE run_key=?"
                                " ORDER BY time_ns, exec_key LIMIT ?"));
  query->bind(run, kMaxTraceExecs);
  std::vector<Exec> execs;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    Exec exec;
    exec.time_ns = query->integer(0);
    exec.process = {static_cast<std::uint32_t>(query->integer(1)), query->integer(2),
                    query->text(3)};
    exec.parent = {static_cast<std::uint32_t>(query->integer(4)), query->integer(5),
                   query->text(6)};
    exec.uid = static_cast<std::uint32_t>(query->integer(7));
    exec.executable = query->text(8);
    ASSAY_ASSIGN(exec.arguments, decode_texts(query->text(9)));
    exec.arguments_truncated = query->integer(10) != 0;
    exec.is_from_upper = query->integer(11) != 0;
    ASSAY_ASSIGN(exec.origin, catalog::parse_exec_origin(query->text(12)));
    exec.path = query->text(13);
    exec.is_interpreter = query->integer(14) != 0;
    execs.push_back(std::move(exec));
  }
  query->reset();
  return execs;
}

Result<catalog::View> load_view(Database& database, std::int64_t run) {
  ASSAY_ASSIGN(Statement * query, database.prepare("SELECT view FROM runs WHERE run_key=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(run).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "the run is gone"};
  const std::string text = query->text(0);
  query->reset();
  return decode_view(text);
}

Result<catalog::Recognition> load_recognition(Database& database, std::int64_t run) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT recognition, recognition_reason, identity_conflicts"
                                " FROM runs WHERE run_key=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(run).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "the run is gone"};
  catalog::Recognition recognition;
  ASSAY_ASSIGN(recognition.state, catalog::parse_recognition_state(query->text(0)));
  recognition.reason = query->text(1);
  const std::string conflicts = query->text(2);
  query->reset();
  if (!conflicts.empty()) {
    ASSAY_ASSIGN(recognition.conflicts, decode_texts(conflicts));
  }
  return recognition;
}

/// What was not told of a run: its names say it, or it went before anybody could look twice.
void complete_recognition(TraceView& trace) {
  catalog::Recognition& known = trace.recognition;
  const std::string& kind = trace.run.kind;
  if (known.state != catalog::RecognitionState::kUntold) return;
  if (trace.run.names.is_bound_to_kernel) {
    known.state = catalog::RecognitionState::kKnown;
    known.reason = "its runtime's record";
  } else if (trace.run.ended_ns != 0 && (kind == "container" || kind == "vm-sandbox")) {
    known.state = catalog::RecognitionState::kUnclear;
    known.reason = "it ended before it was looked for twice";
  }
}

/// Other runs of the same container, or where it has no id, of the same name on the same node.
Result<std::vector<RunId>> load_other_runs(Database& database, std::int64_t key) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT o.run_id FROM runs r JOIN runs o ON o.node_id = r.node_id"
                                " AND o.run_key <> r.run_key AND"
                                " ((o.container_id <> '' AND o.container_id = r.container_id) OR"
                                " (o.container_name <> '' AND o.container_name = r.container_name))"
                                " WHERE r.run_key=? ORDER BY o.started_ns DESC LIMIT ?"));
  query->bind(key, kMaxTraceRuns);
  std::vector<RunId> runs;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    runs.push_back(query->text(0));
  }
  query->reset();
  return runs;
}

}  // namespace

Result<Page<RunView>> query_runs(Database& database, const RunFilter& filter,
                                 std::optional<Cursor> after, int limit) {
  const BaseText base = split_base(filter.base);
  ASSAY_ASSIGN(const bool with_stacks, begins_with_stacks(database, filter, base));
  ASSAY_ASSIGN(Statement * query,
               database.prepare(runs_sql(filter, base, with_stacks, after.has_value())));
  bind_filter(*query, filter, base, after.value_or(Cursor{}), limit + 1);
  ASSAY_ASSIGN(auto rows, read_runs(database, *query));
  Page<RunView> page;
  if (static_cast<int>(rows.size()) > limit) {
    rows.pop_back();
    page.next = Cursor{rows.back().view.started_ns, rows.back().key};
  }
  for (auto& row : rows)
    page.rows.push_back(std::move(row.view));
  return page;
}

Result<std::vector<RunView>> query_runs_by_key(Database& database,
                                               const std::vector<std::int64_t>& keys) {
  const std::string sql = "SELECT " + run_columns() +
                          " FROM runs r JOIN stacks s ON s.stack_id = r.stack_id"
                          " JOIN nodes n ON n.node_id = r.node_id WHERE r.run_key=?";
  std::vector<RunView> runs;
  runs.reserve(keys.size());
  for (const std::int64_t key : keys) {
    ASSAY_ASSIGN(Statement * query, database.prepare(sql));
    ASSAY_ASSIGN(auto rows, read_runs(database, query->bind(key)));
    if (!rows.empty()) runs.push_back(std::move(rows.front().view));
  }
  return runs;
}

Result<TraceView> query_trace(Database& database, const std::string& target,
                              const std::string& node) {
  ASSAY_ASSIGN(const auto key, find_target(database, target, node));
  if (!key)
    return Error{ErrorCode::kNotFound,
                 "no run" + (node.empty() ? std::string() : " on node " + node) +
                     " has this id, container id (12 or more digits) or container name"};
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT " + run_columns() +
                                " FROM runs r JOIN stacks s ON s.stack_id = r.stack_id"
                                " JOIN nodes n ON n.node_id = r.node_id WHERE r.run_key=?"));
  ASSAY_ASSIGN(auto rows, read_runs(database, query->bind(*key)));
  if (rows.empty()) return Error{ErrorCode::kNotFound, "the run is gone"};
  TraceView trace;
  const StackId stack = rows.front().stack;
  trace.run = std::move(rows.front().view);
  ASSAY_ASSIGN(trace.origin, load_origin(database, *key));
  ASSAY_ASSIGN(trace.stack, load_description(database, stack));
  ASSAY_ASSIGN(trace.execs, load_execs(database, *key));
  FindingFilter of_run;
  of_run.include_resolved = true;
  of_run.run_id = trace.run.run_id;
  of_run.node = trace.run.node.text();
  ASSAY_ASSIGN(auto findings, query_findings(database, of_run, std::nullopt, 1000));
  trace.findings = std::move(findings.rows);
  ASSAY_ASSIGN(trace.other_runs, load_other_runs(database, *key));
  ASSAY_ASSIGN(Statement * same, database.prepare("SELECT count(*) FROM runs WHERE stack_id=?"));
  ASSAY_ASSIGN(const bool is_row, same->bind(static_cast<std::int64_t>(stack)).step());
  if (is_row) trace.runs_on_same_stack = static_cast<std::uint64_t>(same->integer(0));
  same->reset();
  ASSAY_ASSIGN(trace.containment, load_containment(database, stack));
  ASSAY_ASSIGN(trace.view, load_view(database, *key));
  ASSAY_ASSIGN(trace.recognition, load_recognition(database, *key));
  complete_recognition(trace);
  return trace;
}

}  // namespace assay::collector
