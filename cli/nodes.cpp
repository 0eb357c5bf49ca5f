// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/commands.h"
#include "cli/records.h"

namespace assay::cli {
namespace {

std::vector<Column> columns(bool has_clusters, bool has_revoked) {
  return {{"CLUSTER", "cluster", Style::kPlain, !has_clusters},
          {"NODE", "node"},
          {"STATE", "state"},
          {"PROBE", "probe_state"},
          {"DEGRADED", "degraded_modes"},
          {"RUNNING", "running"},
          {"LATE", "late_starts"},
          {"LOST", "probe_lost"},
          {"CATALOG", "catalog_sequence"},
          {"STALE", "catalog_is_stale"},
          {"OUTBOX", "outbox_bytes", Style::kBytes},
          {"OLDEST", "outbox_oldest_at", Style::kAge},
          {"LAST SEEN", "last_seen_at", Style::kAge},
          {"VERSION", "version"},
          {"REVOKED", "revoked_at", Style::kAge, !has_revoked},
          {"WHY REVOKED", "revoked_reason", Style::kPlain, true},
          {"CERTIFICATE UNTIL", "certificate_expires_at", Style::kPlain, true},
          {"TRUST", "trust", Style::kPlain, true},
          {"KERNEL", "kernel", Style::kPlain, true},
          {"ADDRESS", "address", Style::kPlain, true},
          {"ATTACHED", "probe_is_attached", Style::kPlain, true},
          {"SEEN", "probe_has_seen", Style::kPlain, true},
          {"SENT", "probe_sent", Style::kPlain, true},
          {"LOST STARTS", "lost_starts", Style::kPlain, true},
          {"LOST EXECS", "lost_execs", Style::kPlain, true},
          {"DROPPED", "queue_dropped", Style::kPlain, true},
          {"STARTS", "starts", Style::kPlain, true},
          {"LAYERS PENDING", "layers_pending", Style::kPlain, true},
          {"EVENTS", "outbox_events", Style::kPlain, true},
          {"ACKNOWLEDGED", "acknowledged", Style::kPlain, true},
          {"CATALOG EXPIRES", "catalog_expires_at", Style::kPlain, true},
          {"CLOCK OFFSET", "clock_offset_ns", Style::kDuration, true},
          {"STATE WANTED", "is_state_wanted", Style::kPlain, true},
          {"UP", "started_at", Style::kAge, true},
          {"MEMORY", "rss_bytes", Style::kBytes, true},
          {"WHY DEGRADED", "degraded", Style::kPlain, true}};
}

Result<Outcome> list(Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<Node> nodes, client->list_nodes());
  const bool has_revoked =
      std::ranges::any_of(nodes, [](const Node& node) { return node.revoked_at.has_value(); });
  return Outcome{.document = {Object{{"nodes", to_array(nodes)}},
                              {{.path = "nodes",
                                .columns = columns(has_several_clusters(nodes), has_revoked)}}},
                 .note = nodes.empty() ? "No node has connected yet." : ""};
}

}  // namespace

void add_nodes(CLI::App& app, Invocation& invocation) {
  add_command(app, "nodes", "List the nodes and the health of their agents", invocation, list)
      .group("Containers and nodes");
}

}  // namespace assay::cli
