// SPDX-License-Identifier: Apache-2.0
// All settings of assay-collector, with their defaults.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "collector/core/retention.h"
#include "common/config/table.h"

namespace assay::collector {

struct CollectorConfig {
  std::string data_dir = "/var/lib/assay-collector";
  std::string listen = "127.0.0.1:7443";
  std::string tls_cert;    ///< "": server.pem in data_dir
  std::string tls_key;     ///< "": server-key.pem in data_dir
  std::string tls_ca;      ///< "": ca.pem in data_dir
  std::string store_path;  ///< "": collector.db in data_dir
  std::string trust_file;
  std::string mark_key;                         ///< "": mark-key.pem in data_dir
  std::string http_address = "127.0.0.1:7480";  ///< "": none

  std::uint64_t max_memory = 1ULL << 30;
  std::uint64_t max_queued_bytes = 0;  ///< 0: a share of max_memory, see queued_bytes()
  std::uint64_t max_agent_bytes = 4ULL << 20;
  std::uint64_t max_grpc_memory = 0;  ///< 0: a share of max_memory, see grpc_memory()
  std::uint32_t max_concurrent_streams = 64;
  std::uint32_t max_connections = 8192;
  std::uint32_t max_address_connections = 1024;
  std::uint32_t max_address_rate = 50;
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds unproven_age{30'000};
  std::chrono::milliseconds idle_timeout{300'000};
  std::chrono::milliseconds connection_age{3'600'000};
  std::uint64_t max_message_bytes = 4ULL << 20;
  std::uint64_t max_metadata_bytes = 16ULL << 10;
  std::uint32_t query_threads = 2;
  std::chrono::seconds heartbeat_interval{10};

  std::uint32_t calls_per_second = 100;  ///< of one person or token; 0: no limit
  std::uint32_t calls_burst = 500;
  std::uint32_t failures_per_minute = 30;  ///< of one address; 0: no limit
  std::chrono::hours max_token_lifetime{365 * 24};
  std::chrono::hours max_mute{90 * 24};

  std::string enrol_ca_key;  ///< "": ca-key.pem in data_dir, when it is there
  std::chrono::seconds certificate_lifetime{24 * 3600};
  std::uint32_t enrol_rate = 100;
  std::uint32_t enrol_address_rate = 10;

  std::string kubernetes_api;      ///< "": Kubernetes is not asked
  std::string kubernetes_cluster;  ///< "": that of init
  std::string kubernetes_ca = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
  std::string kubernetes_token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
  std::string kubernetes_audience = "assay-collector";
  std::vector<std::string> kubernetes_accounts;

  Retention retention;

  std::string log_level = "info";
  std::string log_format = "text";

  std::uint64_t queued_bytes() const {
    return max_queued_bytes ? max_queued_bytes : max_memory / 16;
  }
  std::uint64_t grpc_memory() const { return max_grpc_memory ? max_grpc_memory : max_memory / 2; }
  std::uint64_t store_cache() const {
    return std::min<std::uint64_t>(max_memory / 8, 128ULL << 20);
  }
  std::size_t remembered_stacks() const {
    return std::clamp<std::size_t>(max_memory >> 16, 1024, 16'384);  // some 5 KiB each
  }
  std::string in_data_dir(const std::string& given, const char* name) const {
    return given.empty() ? data_dir + "/" + name : given;
  }
};

inline constexpr const char* kDefaultConfigFile = "/etc/assay/collector.yaml";

/// The declared keys: flag > ASSAY_COLLECTOR_… > file > default.
const config::Table<CollectorConfig>& config_table();

}  // namespace assay::collector
