// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/records.h"

namespace assay::cli {
namespace {

Result<Outcome> list(Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const std::vector<Node> nodes, client->list_nodes());
  return Outcome{
      .document = {Object{{"nodes", to_array(nodes)}},
                   {{.path = "nodes",
                     .columns = {{"NODE", "node"},
                                 {"STATE", "state"},
                                 {"PROBE", "probe_state"},
                                 {"RUNNING", "running"},
                                 {"CATALOG", "catalog_sequence"},
                                 {"STALE", "catalog_is_stale"},
                                 {"LOST", "probe_lost"},
                                 {"LAST SEEN", "last_seen_at", Style::kAge},
                                 {"VERSION", "version"},
                                 {"CLUSTER", "cluster", Style::kPlain, true},
                                 {"KERNEL", "kernel", Style::kPlain, true},
                                 {"LAYERS PENDING", "layers_pending", Style::kPlain, true},
                                 {"OUTBOX", "outbox_events", Style::kPlain, true},
                                 {"ACKNOWLEDGED", "acknowledged", Style::kPlain, true},
                                 {"MEMORY", "rss_bytes", Style::kBytes, true},
                                 {"PROBE DETAIL", "probe_detail", Style::kPlain, true}}}}},
      .note = nodes.empty() ? "No node has connected yet." : ""};
}

}  // namespace

void add_nodes(CLI::App& app, Invocation& invocation) {
  add_command(app, "nodes", "List the nodes and the health of their agents", invocation, list)
      .group("Containers and nodes");
}

}  // namespace assay::cli
