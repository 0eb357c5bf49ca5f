// SPDX-License-Identifier: Apache-2.0
// The composition root of assay-agent: builds all parts, joins them, starts and stops them in
// order.
#pragma once

#include <memory>
#include <string>

#include "agent/app/auditor_loop.h"
#include "agent/app/catalog_keeper.h"
#include "agent/app/config.h"
#include "agent/app/journal.h"
#include "agent/core/outgoing.h"
#include "agent/health/health.h"
#include "agent/identify/layer_identifier.h"
#include "agent/outbox/outbox.h"
#include "agent/outbox/state_db.h"
#include "agent/rootfs/kernel_directories.h"
#include "agent/rootfs/layer_opener.h"
#include "agent/runtime/claim_desk.h"
#include "agent/runtime/disk_records.h"
#include "agent/uplink/uplink.h"
#include "common/base/clock.h"
#include "common/service/http_endpoint.h"
#include "common/service/log_setup.h"
#include "common/service/metrics.h"

namespace assay::agent {

/// Life: create → start → stop. Used by main and by tests, which give another EventSource.
class Agent {
 public:
  /// Opens the state folder, the trust file and the certificates; nothing runs yet but the threads
  /// that write files. `clock` and `log` outlive the agent.
  /// Errors: kInvalidArgument, kNotFound, kPermissionDenied, kUntrusted (keys that do not fit),
  /// kUnavailable (another agent holds the state folder), kCorrupt.
  static Result<std::unique_ptr<Agent>> create(const AgentConfig& config,
                                               std::unique_ptr<EventSource> source,
                                               const Clock& clock, service::Log& log);
  ~Agent();

  /// Errors: those of EventSource::start; kUnavailable (the HTTP port is in use).
  Result<void> start();
  /// Stops the source, works off what is queued, commits it and ends all threads. Idempotent.
  void stop();

  /// Thread-safe.
  AgentHealth health() const;
  std::uint16_t http_port() const { return http_ ? http_->port() : std::uint16_t{0}; }

 private:
  Agent(AgentConfig config, std::unique_ptr<EventSource> source, const Clock& clock,
        service::Log& log);
  Result<void> open_state();
  Result<void> open_trust();
  Result<void> open_uplink();
  void open_pipeline();
  Result<void> start_http();
  void log_uplink();
  void log_catalog(const catalog::Catalog& catalog);
  void on_refused_catalog(std::uint64_t sequence, const std::string& reason);
  std::string metrics_text();

  const AgentConfig config_;
  const Clock& clock_;
  service::Log& log_;
  std::string boot_id_;
  UniqueFd state_lock_;

  std::unique_ptr<EventSource> source_;
  std::unique_ptr<StateDb> state_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<OutboxJournal> journal_;
  std::unique_ptr<VerifyingLayerOpener> opener_;
  std::unique_ptr<DiskRecords> records_;
  KernelDirectories directories_;
  std::unique_ptr<ClaimDesk> claims_;
  AuditorLoop loop_;
  std::unique_ptr<LayerIdentifier> identifier_;
  std::unique_ptr<Auditor> auditor_;
  std::unique_ptr<Uplink> uplink_;
  std::unique_ptr<CatalogKeeper> catalog_;
  service::Metrics metrics_;
  HealthMetrics health_metrics_{metrics_};
  std::unique_ptr<service::HttpEndpoint> http_;
  bool is_stopped_ = false;
};

}  // namespace assay::agent
