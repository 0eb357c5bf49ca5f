// SPDX-License-Identifier: Apache-2.0
// All settings of assay-agent, with their defaults.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/config/table.h"

namespace assay::agent {

struct AgentConfig {
  std::string cluster = "default";
  std::string node;  ///< "" becomes the host's name

  std::string collector_address;  ///< "" : no collector, events stay in the outbox
  std::string tls_ca = "/etc/assay/agent/ca.pem";
  std::string tls_certificate = "/etc/assay/agent/cert.pem";
  std::string tls_key = "/etc/assay/agent/key.pem";

  std::string enrol_token_file;            ///< a join token …
  std::string enrol_service_account_file;  ///< … or Kubernetes' token; both "": tls.* is used
  std::string enrol_ca;

  std::string state_dir = "/var/lib/assay-agent";
  std::uint64_t outbox_max_bytes = 1ULL << 30;
  std::string trust_file;  ///< "" : no catalog is trusted, every base is unknown

  std::string exec_level = "foreign";
  bool arguments = true;
  std::uint32_t max_argument_bytes = 1024;
  std::vector<std::string> redact_words{"password",   "passwd",      "passphrase",   "secret",
                                        "token",      "api-key",     "access-key",   "private-key",
                                        "credential", "credentials", "authorization"};
  std::vector<std::string> redact_patterns;
  std::vector<std::string> labels{"*"};

  std::uint32_t shape_threads = 2;
  std::uint32_t content_threads = 2;
  bool content_idle = true;
  std::uint64_t background_bytes = 256ULL << 20;
  std::uint32_t background_cpu = 100;
  std::uint64_t max_entries = 2'000'000;
  std::uint64_t max_content_bytes = 64ULL << 30;
  std::chrono::milliseconds rewalk_interval{600'000};
  std::string exact = "on";
  std::chrono::milliseconds exact_interval{86'400'000};

  std::vector<std::string> docker_roots;
  std::vector<std::string> containerd_states;
  std::vector<std::string> containers_storage_roots;
  std::vector<std::string> oci_states;
  std::vector<std::string> containerd_sockets;

  std::uint64_t probe_start_ring_bytes = 1ULL << 20;
  std::uint64_t probe_exec_ring_bytes = 512ULL << 10;
  std::chrono::milliseconds sweep_interval{60'000};
  std::uint32_t exec_budget = 200;
  std::uint32_t start_budget = 50;
  std::string pin_dir = "/sys/fs/bpf/assay";
  bool keep_on_exit = false;

  std::string http_address = "127.0.0.1:7481";
  std::string local_socket = "/run/assay/agent.sock";  ///< "" : nothing is done locally
  bool seccomp = true;
  std::string log_level = "info";
  std::string log_format = "text";

  /// The agent gets its certificate by itself and keeps it in its state folder.
  bool is_enrolling() const {
    return !enrol_token_file.empty() || !enrol_service_account_file.empty();
  }
  AgentConfig();
};

inline constexpr const char* kDefaultConfigFile = "/etc/assay/agent.yaml";

/// The declared keys: flag > ASSAY_AGENT_… > file > default.
const config::Table<AgentConfig>& config_table();

}  // namespace assay::agent
