// SPDX-License-Identifier: Apache-2.0
// SqliteWriter's rows of nodes: heartbeats, epochs, full states.
#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/writer.h"

namespace assay::collector {
namespace {

using sqlite::Statement;

std::int64_t number(NodeId node) {
  return static_cast<std::int64_t>(node);
}

Result<std::optional<EpochRow>> read_epoch(Statement& query) {
  ASSAY_ASSIGN(const bool is_there, query.step());
  std::optional<EpochRow> row;
  if (is_there) row = {static_cast<std::uint64_t>(query.integer(0)), query.integer(1)};
  query.reset();
  return row;
}

}  // namespace

Result<NodeId> SqliteWriter::node_id(const NodeKey& node) {
  if (const auto known = node_ids_.find(node); known != node_ids_.end()) return known->second;
  ASSAY_TRY(change("INSERT INTO nodes(cluster, node) VALUES(?,?) ON CONFLICT DO NOTHING",
                   node.cluster, node.node));
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT node_id FROM nodes WHERE cluster=? AND node=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(node.cluster, node.node).step());
  ASSAY_ASSERT(is_there);
  const NodeId id{query->integer(0)};
  query->reset();
  node_ids_.emplace(node, id);
  return id;
}

Result<void> SqliteWriter::save_node(const NodeView& node) {
  ASSAY_ASSIGN(const NodeId id, node_id(node.key));
  const Heartbeat& beat = node.heartbeat;
  return change(
      "UPDATE nodes SET last_seen_ns=?, heartbeat_ns=?, clock_offset_ns=?, address=?, version=?,"
      " kernel=?, boot_id=?, probe_state=?, probe_detail=?, probe_is_attached=?, probe_has_seen=?,"
      " probe_sent=?, probe_lost=?, lost_starts=?, lost_execs=?, recursion_misses=?,"
      " map_failures=?, queue_dropped=?, starts=?, late_starts=?, outbox_events=?, outbox_bytes=?,"
      " outbox_dropped=?, outbox_oldest_ns=?, running=?, layers_pending=?, rss_bytes=?, cpu_ns=?,"
      " started_ns=?, catalog_sequence=?, catalog_is_stale=?, catalog_expires_ns=?, degraded=?,"
      " acknowledged=? WHERE node_id=?",
      node.last_seen_ns, node.heartbeat_ns, node.clock_offset_ns, node.address, node.version,
      node.kernel, node.boot_id, beat.probe_state, beat.probe_detail, beat.probe_is_attached,
      beat.probe_has_seen, beat.probe_sent, beat.probe_lost, beat.lost_starts, beat.lost_execs,
      beat.recursion_misses, beat.map_failures, beat.queue_dropped, beat.starts, beat.late_starts,
      beat.outbox_events, beat.outbox_bytes, beat.outbox_dropped, beat.outbox_oldest_ns,
      beat.running, beat.layers_pending, beat.rss_bytes, beat.cpu_ns, beat.started_ns,
      beat.catalog_sequence, beat.catalog_is_stale, beat.catalog_expires_ns, encode(beat.degraded),
      node.acknowledged, number(id));
}

Result<std::optional<EpochRow>> SqliteWriter::find_epoch(NodeId node, const Epoch& epoch) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare(
                   "SELECT acknowledged, last_event_ns FROM epochs WHERE node_id=? AND epoch=?"));
  return read_epoch(query->bind(number(node), Statement::Blob{epoch}));
}

Result<void> SqliteWriter::save_epoch(NodeId node, const Epoch& epoch, const EpochRow& row) {
  ASSAY_TRY(change("UPDATE epochs SET acknowledged=?, last_event_ns=? WHERE node_id=? AND epoch=?",
                   row.acknowledged, row.last_event_ns, number(node), Statement::Blob{epoch}));
  if (database_.changes() > 0) return ok();
  ASSAY_TRY(
      change("INSERT INTO epochs(node_id, epoch, acknowledged, last_event_ns) VALUES(?,?,?,?)",
             number(node), Statement::Blob{epoch}, row.acknowledged, row.last_event_ns));
  return change(
      "DELETE FROM epochs WHERE epoch_key IN (SELECT epoch_key FROM epochs WHERE node_id=?"
      " ORDER BY epoch_key DESC LIMIT -1 OFFSET ?)",
      number(node), kMaxEpochs);
}

Result<std::optional<EpochRow>> SqliteWriter::newest_other_epoch(NodeId node, const Epoch& epoch) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT acknowledged, last_event_ns FROM epochs WHERE node_id=?"
                                 " AND epoch<>? ORDER BY epoch_key DESC LIMIT 1"));
  return read_epoch(query->bind(number(node), Statement::Blob{epoch}));
}

Result<NodeState> SqliteWriter::node_state(NodeId node) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT boot_id, request, is_wanted, wanted_because, state,"
                                 " is_telling, is_torn, is_ending, state_ns, told, added,"
                                 " reopened, ended, finding_id, gap, gap_from_ns, missing"
                                 " FROM node_states WHERE node_id=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(number(node)).step());
  NodeState state;
  if (!is_there) return state;
  const auto count = [&](int column) { return static_cast<std::uint64_t>(query->integer(column)); };
  state.boot_id = query->text(0);
  state.request = count(1);
  state.is_wanted = query->integer(2) != 0;
  state.wanted_because = query->text(3);
  state.state = count(4);
  state.is_telling = query->integer(5) != 0;
  state.is_torn = query->integer(6) != 0;
  state.is_ending = query->integer(7) != 0;
  state.state_ns = query->integer(8);
  state.told = count(9);
  state.added = count(10);
  state.reopened = count(11);
  state.ended = count(12);
  state.finding_id = query->text(13);
  state.gap = query->text(14);
  state.gap_from_ns = query->integer(15);
  state.missing = count(16);
  query->reset();
  return state;
}

Result<void> SqliteWriter::save_node_state(NodeId node, const NodeState& state) {
  return change(
      "INSERT OR REPLACE INTO node_states(node_id, boot_id, request, is_wanted, wanted_because,"
      " state, is_telling, is_torn, is_ending, state_ns, told, added, reopened, ended, finding_id,"
      " gap, gap_from_ns, missing) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
      number(node), state.boot_id, state.request, state.is_wanted, state.wanted_because,
      state.state, state.is_telling, state.is_torn, state.is_ending, state.state_ns, state.told,
      state.added, state.reopened, state.ended, state.finding_id, state.gap, state.gap_from_ns,
      state.missing);
}

Result<std::vector<NodeId>> SqliteWriter::ending_nodes(int limit) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT node_id FROM node_states WHERE is_ending = 1 LIMIT ?"));
  query->bind(limit);
  std::vector<NodeId> nodes;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    nodes.push_back(NodeId{query->integer(0)});
  }
  query->reset();
  return nodes;
}

}  // namespace assay::collector
