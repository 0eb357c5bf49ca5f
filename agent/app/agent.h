// SPDX-License-Identifier: Apache-2.0
// The composition root of assay-agent: builds all parts, joins them, starts and stops them in
// order.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "agent/app/auditor_loop.h"
#include "agent/app/catalog_keeper.h"
#include "agent/app/command_desk.h"
#include "agent/app/commit_watch.h"
#include "agent/app/config.h"
#include "agent/app/continuity.h"
#include "agent/app/journal.h"
#include "agent/app/pipeline.h"
#include "agent/app/recorded_containers.h"
#include "agent/core/outgoing.h"
#include "agent/core/time_floor.h"
#include "agent/health/health.h"
#include "agent/identify/exact_desk.h"
#include "agent/identify/file_set_desk.h"
#include "agent/identify/layer_identifier.h"
#include "agent/identify/layer_rewalker.h"
#include "agent/identify/verify_desk.h"
#include "agent/identify/view_desk.h"
#include "agent/local/local_server.h"
#include "agent/outbox/outbox.h"
#include "agent/outbox/state_db.h"
#include "agent/rootfs/container_root.h"
#include "agent/rootfs/kernel_directories.h"
#include "agent/rootfs/layer_opener.h"
#include "agent/rootfs/processes.h"
#include "agent/rootfs/user_stacks.h"
#include "agent/runtime/claim_desk.h"
#include "agent/runtime/disk_records.h"
#include "agent/runtime/recogniser.h"
#include "agent/runtime/stream_opener.h"
#include "agent/uplink/enroller.h"
#include "agent/uplink/uplink.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
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
  /// Takes over what changed: `next` differs from the configuration in use only in live keys. Files
  /// that it names (certificates, keys that sign the catalog) are read again. All or nothing.
  /// Errors: kInvalidArgument, kNotFound, kPermissionDenied, kUntrusted; then all stays as it was.
  Result<void> reload(const AgentConfig& next);
  /// Walks all layers again that runs stand on, and looks into all their roots, now and in the
  /// background.
  void walk_layers();
  /// Counts a reload for the metrics.
  void count_reload(bool is_ok);
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
  Result<void> open_enroller();
  void on_certificate();
  TlsFiles tls_files(const AgentConfig& config) const;
  void open_pipeline();
  CommitWatch::Ports commit_ports();
  Result<void> start_http();
  Result<void> start_local();
  void open_commands();
  struct TrustFile {
    std::string text;
    std::optional<catalog::TrustRoot> root;  ///< nothing: no file is configured
  };
  static Result<TrustFile> load_trust(const AgentConfig& config);
  void start_outbox();
  void on_tick();
  LayerRewalker::Ports rewalk_ports();
  ExactDesk::Ports exact_ports();
  void on_tampering(const LayerTampering& tampering);
  void log_outbox(const std::string& error);
  void log_uplink();
  void log_catalog(const catalog::Catalog& catalog);
  void on_refused_catalog(std::uint64_t sequence, const std::string& reason);
  std::string metrics_text();
  void log_denied_calls();

  const AgentConfig config_;  // as at the start
  const Clock& clock_;
  service::Log& log_;
  const WallTime started_;
  std::string boot_id_;
  UniqueFd state_lock_;

  std::unique_ptr<EventSource> source_;
  std::unique_ptr<StateDb> state_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<OutboxJournal> journal_;
  std::unique_ptr<CommitWatch> commits_;
  std::unique_ptr<Continuity> continuity_;
  std::unique_ptr<TimeFloor> time_floor_;
  BootTime floor_written_{};         // the auditor's thread
  std::uint64_t denied_logged_ = 0;  // likewise
  std::string trust_text_;           // main's thread: the trust file in use
  Mutex address_mutex_;
  std::string address_ ASSAY_GUARDED_BY(address_mutex_);  // of the collector, in use
  std::unique_ptr<VerifyingLayerOpener> opener_;
  std::unique_ptr<DiskRecords> records_;
  std::unique_ptr<NodeRecords> recorded_;
  KernelDirectories directories_;
  std::unique_ptr<ClaimDesk> claims_;
  UserStacks user_stacks_;
  ProcProcesses processes_;
  StartCompleter starts_{processes_, user_stacks_};
  std::unique_ptr<NoteRecogniser> recogniser_;
  AuditorLoop loop_;
  BackgroundBudget background_;  // of what is below
  std::unique_ptr<LayerIdentifier> identifier_;
  std::unique_ptr<LayerRewalker> rewalker_;
  StoreStreamOpener streams_;
  std::unique_ptr<ExactDesk> exact_;
  std::unique_ptr<VerifyDesk> verifier_;
  std::unique_ptr<CommandDesk> commands_;
  std::unique_ptr<LocalServer> local_;
  std::unique_ptr<FileSetDesk> file_sets_;
  ProcessRoots roots_;
  std::unique_ptr<ViewDesk> views_;
  std::unique_ptr<Auditor> auditor_;
  std::unique_ptr<Enroller> enroller_;  // null: certificates come from elsewhere
  std::unique_ptr<Uplink> uplink_;
  std::unique_ptr<CatalogKeeper> catalog_;
  service::Metrics metrics_;
  HealthMetrics health_metrics_;
  std::unique_ptr<service::HttpEndpoint> http_;
  service::LogRateLimit local_refusals_{5, std::chrono::seconds(10)};
  std::atomic<std::uint64_t> reloads_{0};
  std::atomic<bool> is_last_reload_ok_{true};
  bool is_stopped_ = false;
};

}  // namespace assay::agent
