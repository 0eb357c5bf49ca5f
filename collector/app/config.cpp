// SPDX-License-Identifier: Apache-2.0
#include "collector/app/config.h"

#include "common/service/http_endpoint.h"

namespace assay::collector {
namespace {

using config::Table;

std::vector<std::string> check_addresses(const CollectorConfig& config) {
  std::vector<std::string> problems;
  if (auto where = service::parse_host_port(config.listen); !where)
    problems.push_back("listen: " + where.error().message);
  if (config.http_address.empty()) return problems;
  if (auto where = service::parse_host_port(config.http_address); !where)
    problems.push_back("http.address: " + where.error().message);
  return problems;
}

void add_places(Table<CollectorConfig>& table) {
  table
      .path("data_dir", &CollectorConfig::data_dir,
            {.text = "Folder of the store, and of the certificates that init makes"})
      .text("listen", &CollectorConfig::listen,
            {.text = "Where agents and clients connect, HOST:PORT"})
      .path("tls.cert", &CollectorConfig::tls_cert,
            {.text = "Server certificate, PEM; empty for server.pem in data_dir", .is_live = true})
      .path("tls.key", &CollectorConfig::tls_key,
            {.text = "Its key, PEM; empty for server-key.pem in data_dir", .is_live = true})
      .path("tls.ca", &CollectorConfig::tls_ca,
            {.text = "Authorities of client certificates, PEM; empty for ca.pem in data_dir",
             .is_live = true})
      .path("store.path", &CollectorConfig::store_path,
            {.text = "SQLite file; empty for collector.db in data_dir"})
      .path("trust_file", &CollectorConfig::trust_file,
            {.text = "Public keys that may sign the catalog", .is_required = true, .is_live = true})
      .text("http.address", &CollectorConfig::http_address,
            {.text = "Health and metrics, HOST:PORT; empty for none"});
}

void add_limits(Table<CollectorConfig>& table) {
  table
      .size("limits.queued_bytes", &CollectorConfig::max_queued_bytes,
            {.text = "Events that may wait for their commit, of all agents",
             .min = "1MiB",
             .is_live = true})
      .size("limits.agent_bytes", &CollectorConfig::max_agent_bytes,
            {.text = "Events that may wait for their commit, of one agent",
             .min = "64KiB",
             .is_live = true})
      .size("limits.grpc_memory", &CollectorConfig::max_grpc_memory,
            {.text = "Memory that gRPC may use for connections and messages",
             .min = "16MiB",
             .is_live = true})
      .integer("limits.streams", &CollectorConfig::max_concurrent_streams,
               {.text = "Concurrent calls on one connection", .min = "1", .max = "10000"})
      .integer("limits.query_threads", &CollectorConfig::query_threads,
               {.text = "Queries that run at a time", .min = "1", .max = "64"})
      .duration("heartbeat_interval", &CollectorConfig::heartbeat_interval,
                {.text = "How often agents say that they live",
                 .min = "1s",
                 .max = "1h",
                 .is_live = true});
}

Table<CollectorConfig> make_table() {
  Table<CollectorConfig> table("ASSAY_COLLECTOR_");
  add_places(table);
  add_limits(table);
  table
      .text("log.level", &CollectorConfig::log_level,
            {.text = "Least level that is written",
             .values = {"debug", "info", "warn", "error"},
             .is_live = true})
      .text("log.format", &CollectorConfig::log_format,
            {.text = "Format of log lines on stderr", .values = {"text", "json"}, .is_live = true})
      .rule(check_addresses);
  return table;
}

}  // namespace

const Table<CollectorConfig>& config_table() {
  static const Table<CollectorConfig> table = make_table();
  return table;
}

}  // namespace assay::collector
