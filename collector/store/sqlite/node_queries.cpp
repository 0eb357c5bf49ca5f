// SPDX-License-Identifier: Apache-2.0
// Nodes, and how lists are narrowed to one.
#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/queries.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

Result<NodeView> read_node(const Statement& row) {
  int column = 0;
  const auto text = [&] { return row.text(column++); };
  const auto integer = [&] { return row.integer(column++); };
  const auto count = [&] { return static_cast<std::uint64_t>(row.integer(column++)); };
  const auto flag = [&] { return row.integer(column++) != 0; };
  NodeView node;
  node.key.cluster = text();
  node.key.node = text();
  node.last_seen_ns = integer();
  node.heartbeat_ns = integer();
  node.clock_offset_ns = integer();
  node.address = text();
  node.version = text();
  node.kernel = text();
  node.boot_id = text();
  Heartbeat& beat = node.heartbeat;
  beat.probe_state = text();
  beat.probe_detail = text();
  beat.probe_is_attached = flag();
  beat.probe_has_seen = flag();
  beat.probe_sent = count();
  beat.probe_lost = count();
  beat.lost_starts = count();
  beat.lost_execs = count();
  beat.recursion_misses = count();
  beat.map_failures = count();
  beat.queue_dropped = count();
  beat.starts = count();
  beat.late_starts = count();
  beat.outbox_events = count();
  beat.outbox_bytes = count();
  beat.outbox_dropped = count();
  beat.outbox_oldest_ns = integer();
  beat.running = count();
  beat.layers_pending = count();
  beat.rss_bytes = count();
  beat.cpu_ns = count();
  beat.started_ns = integer();
  beat.catalog_sequence = count();
  beat.catalog_is_stale = flag();
  beat.catalog_expires_ns = integer();
  ASSAY_ASSIGN(beat.degraded, decode_degraded(text()));
  node.acknowledged = count();
  node.is_state_wanted = flag();
  return node;
}

}  // namespace

Result<std::vector<NodeView>> query_nodes(Database& database) {
  ASSAY_ASSIGN(
      Statement * query,
      database.prepare("SELECT cluster, node, last_seen_ns, heartbeat_ns, clock_offset_ns, address,"
                       " version, kernel, n.boot_id, probe_state, probe_detail, probe_is_attached,"
                       " probe_has_seen, probe_sent, probe_lost, lost_starts, lost_execs,"
                       " recursion_misses, map_failures, queue_dropped, starts, late_starts,"
                       " outbox_events, outbox_bytes, outbox_dropped, outbox_oldest_ns, running,"
                       " layers_pending, rss_bytes, cpu_ns, started_ns, catalog_sequence,"
                       " catalog_is_stale, catalog_expires_ns, degraded, acknowledged,"
                       " ifnull(s.is_wanted, 0) FROM nodes n LEFT JOIN node_states s"
                       " USING(node_id) ORDER BY cluster, node"));
  std::vector<NodeView> nodes;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    ASSAY_ASSIGN(NodeView node, read_node(*query));
    nodes.push_back(std::move(node));
  }
  query->reset();
  return nodes;
}

std::string node_condition(const std::string& node, const std::string& parameter) {
  if (node.empty()) return "";
  // Names hold no slash: with one the cluster is given, too.
  const bool has_cluster = node.find('/') != std::string::npos;
  return std::string(" AND ") + (has_cluster ? "n.cluster || '/' || n.node" : "n.node") + " = " +
         parameter;
}

}  // namespace assay::collector
