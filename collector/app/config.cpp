// SPDX-License-Identifier: Apache-2.0
#include "collector/app/config.h"

#include <algorithm>

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

std::vector<std::string> check_limits(const CollectorConfig& config) {
  constexpr std::uint64_t kLeastQueued = 1ULL << 20;
  constexpr std::uint64_t kLeastGrpc = 16ULL << 20;
  std::vector<std::string> problems;
  if (config.queued_bytes() < kLeastQueued)
    problems.emplace_back("limits.queued_bytes: must be 0 or at least 1MiB");
  if (config.grpc_memory() < kLeastGrpc)
    problems.emplace_back("limits.grpc_memory: must be 0 or at least 16MiB");
  const std::uint64_t parts = config.queued_bytes() + config.grpc_memory() + config.store_cache();
  if (parts > config.max_memory)
    problems.push_back("limits.memory: " + std::to_string(config.max_memory) +
                       " bytes are less than limits.queued_bytes, limits.grpc_memory and the "
                       "store's cache together (" +
                       std::to_string(parts) + ")");
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
      .path("mark_key", &CollectorConfig::mark_key,
            {.text = "Key that signs freshness marks, PEM; made when it is not there; empty for "
                     "mark-key.pem in data_dir"})
      .text("http.address", &CollectorConfig::http_address,
            {.text = "Health and metrics, HOST:PORT; empty for none"});
}

void add_limits(Table<CollectorConfig>& table) {
  table
      .size("limits.memory", &CollectorConfig::max_memory,
            {.text = "Resident memory that the collector stays below; near it, agents are asked to "
                     "come back later",
             .min = "128MiB"})
      .size("limits.queued_bytes", &CollectorConfig::max_queued_bytes,
            {.text = "Memory of events that wait for their commit, of all agents; 0 for a 16th of "
                     "limits.memory",
             .is_live = true})
      .size("limits.agent_bytes", &CollectorConfig::max_agent_bytes,
            {.text = "Memory of events that wait for their commit, of one agent; beyond it no more "
                     "is read from it",
             .min = "64KiB",
             .is_live = true})
      .size("limits.grpc_memory", &CollectorConfig::max_grpc_memory,
            {.text = "Memory that gRPC may use for connections and messages; 0 for half of "
                     "limits.memory",
             .is_live = true})
      .integer("limits.streams", &CollectorConfig::max_concurrent_streams,
               {.text = "Concurrent calls on one connection", .min = "1", .max = "10000"})
      .integer(
          "limits.connections", &CollectorConfig::max_connections,
          {.text = "Connections at a time; fewer where the limit on open files has no room for "
                   "two descriptors each",
           .min = "16",
           .max = "1000000",
           .is_live = true})
      .integer("limits.address_connections", &CollectorConfig::max_address_connections,
               {.text = "Connections at a time of one address (IPv6: one /64); 0 for as many as "
                        "there may be, behind a load balancer",
                .max = "1000000",
                .is_live = true})
      .integer("limits.address_rate", &CollectorConfig::max_address_rate,
               {.text = "New connections a second of one address, ten times as many at once; 0 for "
                        "any number",
                .max = "100000",
                .is_live = true})
      .duration("limits.handshake", &CollectorConfig::handshake_timeout,
                {.text = "How long a connection may take until TLS and HTTP/2 are agreed on",
                 .min = "100ms",
                 .max = "2m"})
      .duration("limits.unproven", &CollectorConfig::unproven_age,
                {.text = "How long a connection may stay whose peer has shown no identity that was "
                         "believed",
                 .min = "1s",
                 .max = "1h",
                 .is_live = true})
      .duration(
          "limits.idle", &CollectorConfig::idle_timeout,
          {.text = "How long a connection without a call may stay", .min = "1s", .max = "24h"})
      .duration("limits.age", &CollectorConfig::connection_age,
                {.text = "How long a connection is used for new calls; a quarter of it later it is "
                         "ended, and who made it connects anew with a certificate of then",
                 .min = "1m",
                 .max = "24h"})
      .size("limits.message", &CollectorConfig::max_message_bytes,
            {.text = "A message that is received, uncompressed; agents send up to 4MiB",
             .min = "4MiB",
             .max = "64MiB"})
      .size("limits.headers", &CollectorConfig::max_metadata_bytes,
            {.text = "Headers of one call", .min = "8KiB", .max = "1MiB"})
      .integer("limits.query_threads", &CollectorConfig::query_threads,
               {.text = "Queries that run at a time", .min = "1", .max = "64"})
      .duration("heartbeat_interval", &CollectorConfig::heartbeat_interval,
                {.text = "How often agents say that they live",
                 .min = "1s",
                 .max = "1h",
                 .is_live = true});
}

void add_people(Table<CollectorConfig>& table) {
  table
      .integer("limits.calls_per_second", &CollectorConfig::calls_per_second,
               {.text = "Calls of one person or token; 0 for no limit",
                .max = "100000",
                .is_live = true})
      .integer("limits.calls_burst", &CollectorConfig::calls_burst,
               {.text = "Calls that one may make at once after a pause",
                .min = "1",
                .max = "100000",
                .is_live = true})
      .integer("limits.failures_per_minute", &CollectorConfig::failures_per_minute,
               {.text = "Calls of one address (of IPv6 one /64) without a valid certificate or "
                        "token that are answered as such; beyond them it is asked to wait; 0 for "
                        "no limit",
                .max = "100000",
                .is_live = true})
      .duration("tokens.max_lifetime", &CollectorConfig::max_token_lifetime,
                {.text = "How long a new token may live, and that of `init` from its making",
                 .min = "1h",
                 .max = "3650d",
                 .is_live = true})
      .duration("triage.max_mute", &CollectorConfig::max_mute,
                {.text = "How far away the end of a mute may be",
                 .min = "1h",
                 .max = "3650d",
                 .is_live = true});
}

std::vector<std::string> check_kubernetes(const CollectorConfig& config) {
  std::vector<std::string> problems;
  if (config.kubernetes_api.empty()) return problems;
  if (!config.kubernetes_api.starts_with("https://"))
    problems.emplace_back("kubernetes.api_server: begins with https://");
  if (config.kubernetes_audience.empty())
    problems.emplace_back("kubernetes.audience: a token for anybody proves nothing here");
  if (config.kubernetes_accounts.empty())
    problems.emplace_back(
        "kubernetes.accounts: name the agents' service account, NAMESPACE/NAME, when "
        "kubernetes.api_server is given");
  for (const std::string& account : config.kubernetes_accounts)
    if (std::ranges::count(account, '/') != 1)
      problems.push_back("kubernetes.accounts: \"" + account + "\" is not NAMESPACE/NAME");
  return problems;
}

void add_enrolment(Table<CollectorConfig>& table) {
  table
      .path("enrol.ca_key", &CollectorConfig::enrol_ca_key,
            {.text = "Key of the authority that issues nodes' certificates, PEM, of one in tls.ca; "
                     "empty for ca-key.pem in data_dir; without one nothing is issued",
             .is_live = true})
      .duration("enrol.certificate_lifetime", &CollectorConfig::certificate_lifetime,
                {.text = "How long a node's certificate is good; agents renew it after two thirds",
                 .min = "10s",
                 .max = "8760h",
                 .is_live = true})
      .integer("enrol.rate", &CollectorConfig::enrol_rate,
               {.text = "Tries to enrol or renew that are looked at in a second, of all together",
                .min = "1",
                .max = "10000"})
      .integer("enrol.address_rate", &CollectorConfig::enrol_address_rate,
               {.text = "The same, from one address", .min = "1", .max = "10000"})
      .text("kubernetes.api_server", &CollectorConfig::kubernetes_api,
            {.text = "Where to ask whose a service account's token is, https://HOST[:PORT]; empty "
                     "for nobody"})
      .text("kubernetes.cluster", &CollectorConfig::kubernetes_cluster,
            {.text = "Cluster whose nodes are its nodes; empty for that of init"})
      .path("kubernetes.ca", &CollectorConfig::kubernetes_ca,
            {.text = "Authorities of the API server's certificate, PEM"})
      .path("kubernetes.token", &CollectorConfig::kubernetes_token,
            {.text = "File with the collector's own token there, read anew each time; it needs "
                     "create on tokenreviews, and get on pods where tokens name no node"})
      .text("kubernetes.audience", &CollectorConfig::kubernetes_audience,
            {.text = "Whom agents' tokens must be made for"})
      .list("kubernetes.accounts", &CollectorConfig::kubernetes_accounts,
            {.text = "Service accounts of agents, NAMESPACE/NAME"});
}

void add_retention(Table<CollectorConfig>& table) {
  const auto add = [&](const char* name, std::chrono::seconds Retention::*age, const char* text) {
    table.duration(
        name,
        [age](CollectorConfig& config) -> std::chrono::seconds& { return config.retention.*age; },
        {.text = text, .min = "0s", .max = "36500d", .is_live = true});
  };
  add("retention.runs", &Retention::runs,
      "How long runs are kept after their end, or as long as there is a finding on them; 0s for "
      "good");
  add("retention.execs", &Retention::execs, "How long recorded execs are kept; 0s for good");
  add("retention.findings", &Retention::findings,
      "How long findings are kept after they were resolved; 0s for good");
  add("retention.scans", &Retention::scans,
      "How long reports of scanners are kept that a newer one replaced; 0s for good");
  add("retention.audit", &Retention::audit, "How long the audit log is kept; 0s for good");
}

Table<CollectorConfig> make_table() {
  Table<CollectorConfig> table("ASSAY_COLLECTOR_");
  add_places(table);
  add_limits(table);
  add_people(table);
  add_enrolment(table);
  add_retention(table);
  table
      .text("log.level", &CollectorConfig::log_level,
            {.text = "Least level that is written",
             .values = {"debug", "info", "warn", "error"},
             .is_live = true})
      .text("log.format", &CollectorConfig::log_format,
            {.text = "Format of log lines on stderr", .values = {"text", "json"}, .is_live = true})
      .rule(check_addresses)
      .rule(check_limits)
      .rule(check_kubernetes);
  return table;
}

}  // namespace

const Table<CollectorConfig>& config_table() {
  static const Table<CollectorConfig> table = make_table();
  return table;
}

}  // namespace assay::collector
