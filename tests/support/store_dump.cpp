// SPDX-License-Identifier: Apache-2.0
#include "tests/support/store_dump.h"

#include <algorithm>
#include <iterator>

#include "common/sqlite/database.h"

namespace assay::tests {
namespace {

constexpr const char* kQueries[] = {
    "SELECT 'run', n.cluster, n.node, r.run_id, hex(s.digest), r.kind, r.cause, r.is_late,"
    " r.started_ns, r.ended_ns, r.end_is_approximate, r.is_open, r.is_overdue, r.overdue_at_ns,"
    " r.container_id, r.container_name, r.image, r.labels, r.executable, r.arguments, r.pid,"
    " r.process_name, r.ancestors, r.namespace_pids, r.cgroup_path, r.agent_verdict"
    " FROM runs r JOIN nodes n USING(node_id) JOIN stacks s USING(stack_id)",
    "SELECT 'stack', n.cluster, n.node, hex(s.digest), s.is_described, s.unsupported, s.layers,"
    " s.running, s.verdict, s.rung, s.reason, s.contradictions, s.application_layers,"
    " s.catalog_sequence FROM stacks s JOIN nodes n USING(node_id)",
    "SELECT 'match', n.cluster, n.node, hex(s.digest), m.position, m.base_name, m.base_version,"
    " m.status, m.rung, m.layers FROM stack_matches m JOIN stacks s USING(stack_id)"
    " JOIN nodes n USING(node_id)",
    "SELECT 'layer', n.cluster, n.node, hex(s.digest), k.position, hex(l.key), l.name, l.entries"
    " FROM stack_layers k JOIN layers l USING(layer_id) JOIN stacks s USING(stack_id)"
    " JOIN nodes n ON n.node_id = s.node_id",
    "SELECT 'exec', n.cluster, n.node, r.run_id, e.time_ns, e.pid, e.executable, e.arguments"
    " FROM execs e JOIN runs r USING(run_key) JOIN nodes n USING(node_id)",
    "SELECT 'finding', n.cluster, n.node, r.run_id, f.kind, f.subject, f.reason, f.opened_ns,"
    " f.changed_ns, f.resolved_ns, f.resolved_reason, f.base FROM findings f"
    " JOIN nodes n USING(node_id) LEFT JOIN runs r USING(run_key)",
    "SELECT 'epoch', n.cluster, n.node, hex(e.epoch), e.acknowledged, e.last_event_ns"
    " FROM epochs e JOIN nodes n USING(node_id)"};

constexpr std::size_t kMaxLines = 20;  // of each side

std::string read_row(const sqlite::Statement& row, int columns) {
  std::string line;
  for (int i = 0; i < columns; ++i)
    line += (i == 0 ? "" : "|") + row.text(i);
  return line;
}

int columns_of(std::string_view sql) {
  // Commas at the top level of the list, up to FROM.
  const std::string_view list = sql.substr(0, sql.find(" FROM "));
  return static_cast<int>(std::count(list.begin(), list.end(), ',')) + 1;
}

}  // namespace

std::vector<std::string> dump_store(const std::string& path) {
  auto database = sqlite::Database::open(path, {.read_only = true});
  ASSAY_ASSERT(database.has_value());
  std::vector<std::string> lines;
  for (const char* sql : kQueries) {
    const auto query = database->prepare(sql);
    ASSAY_ASSERT(query.has_value());
    for (;;) {
      const auto is_row = (*query)->step();
      ASSAY_ASSERT(is_row.has_value());
      if (!*is_row) break;
      lines.push_back(read_row(**query, columns_of(sql)));
    }
    (*query)->reset();
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string difference(const std::vector<std::string>& expected,
                       const std::vector<std::string>& actual) {
  const auto lacking = [](const std::vector<std::string>& these,
                          const std::vector<std::string>& those, const char* mark) {
    std::vector<std::string> lines;
    std::set_difference(these.begin(), these.end(), those.begin(), those.end(),
                        std::back_inserter(lines));
    std::string text;
    for (std::size_t i = 0; i < std::min(lines.size(), kMaxLines); ++i)
      text += mark + lines[i] + "\n";
    return text;
  };
  return lacking(expected, actual, "- ") + lacking(actual, expected, "+ ");
}

}  // namespace assay::tests
