// SPDX-License-Identifier: Apache-2.0
// The composition root of assay-collector: builds all parts, joins them, starts and stops them in
// order.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "collector/app/config.h"
#include "collector/app/grpc_server.h"
#include "collector/app/memory_watch.h"
#include "collector/app/metrics_export.h"
#include "collector/app/told_once.h"
#include "collector/app/upkeep.h"
#include "collector/catalog/keeper.h"
#include "collector/catalog/mark_key.h"
#include "collector/core/access_timer.h"
#include "collector/core/commit_loop.h"
#include "collector/core/doorkeeper.h"
#include "collector/core/enrolled_nodes.h"
#include "collector/core/enrolment_book.h"
#include "collector/core/node_registry.h"
#include "collector/identity/certifier.h"
#include "collector/ingest/agent_link.h"
#include "collector/ingest/enrolment_service.h"
#include "collector/query/node_access.h"
#include "collector/query/node_commands.h"
#include "collector/query/services.h"
#include "common/base/mutex.h"
#include "common/service/http_endpoint.h"
#include "common/service/log_setup.h"

namespace assay::collector {

/// Life: start → stop. Used by main and by tests.
class Collector {
 public:
  /// `clock` and `log` must outlive the collector.
  /// Errors: kInvalidArgument (certificates, trust file), kUntrusted (the stored catalog is not
  /// signed by the trust file's keys), kUnavailable (port in use, disk), kUnsupported (a newer
  /// store), kCorrupt.
  static Result<std::unique_ptr<Collector>> start(const CollectorConfig& config, Clock& clock,
                                                  service::Log& log);
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  /// Takes over what changed: `next` differs from the configuration in use only in live keys. Files
  /// that it names are read again; streams go on. All or nothing.
  /// Errors: kInvalidArgument, kUntrusted; then all stays as it was.
  Result<void> reload(const CollectorConfig& next);
  /// Counts a reload for the metrics.
  void count_reload(bool is_ok) { metrics_.count_reload(is_ok); }

  /// Ends all streams, commits what waits, closes the store. Idempotent.
  void stop();

  std::uint16_t port() const { return server_ ? server_->port() : std::uint16_t{0}; }
  std::uint16_t http_port() const { return http_ ? http_->port() : std::uint16_t{0}; }
  CommitLoop& commit_loop() { return *loop_; }

 private:
  Collector(CollectorConfig config, Clock& clock, service::Log& log)
      : config_(std::move(config)),
        clock_(clock),
        log_(log),
        memory_(config_.max_memory, resident_bytes),
        live_(config_) {}
  Result<void> open_http();
  Result<void> open_store();
  Result<void> open_catalog();
  Result<void> open_access();
  Result<void> open_enrolment();
  Result<void> open_server();
  struct Certificates {
    ServerCertificates server;
    AuthorityMaterial authority;
    bool operator==(const Certificates&) const = default;
  };
  static Result<Certificates> load_certificates(const CollectorConfig& config, WallTime now);
  void use_certificates(Certificates certificates);
  void look_after_certificates();
  void on_catalog_change();
  void log_problem(const std::string& problem);
  void log_refused(std::string_view reason, const std::string& address);
  std::vector<std::string> not_ready() const;
  std::string metrics_text();

  const CollectorConfig config_;
  Clock& clock_;
  service::Log& log_;
  service::LogRateLimit problem_limit_{5, std::chrono::seconds(10)};
  service::LogRateLimit refused_limit_{5, std::chrono::seconds(10)};  // of the port's thread
  std::atomic<bool> is_listening_{false};
  MetricsExport metrics_;  // of the HTTP thread
  MemoryWatch memory_;
  Mutex live_mutex_;
  CollectorConfig live_ ASSAY_GUARDED_BY(live_mutex_);  // as it was reloaded last
  Certificates certificates_ ASSAY_GUARDED_BY(live_mutex_);
  ToldOnce certificate_problem_;  // of the upkeep's thread
  ToldOnce renewal_problem_;      // likewise

  ProofRelay proofs_;  // of door_ to server_

  // In the order of construction; stop() goes the other way.
  std::unique_ptr<Store> store_;
  std::unique_ptr<NodeRegistry> nodes_;
  std::unique_ptr<CommitLoop> loop_;
  std::unique_ptr<SignedLogKeeper> keeper_;
  std::unique_ptr<MarkTimer> marks_;
  std::unique_ptr<TokenBook> tokens_;
  std::unique_ptr<Doorkeeper> door_;
  std::unique_ptr<AccessTimer> access_timer_;
  std::unique_ptr<Certifier> certifier_;
  std::unique_ptr<AccountReviewer> reviewer_;
  std::unique_ptr<EnrolmentBook> book_;
  std::unique_ptr<EnrolledNodes> enrolled_;
  std::unique_ptr<AgentLink> link_;
  std::unique_ptr<QueryServices> queries_;
  std::unique_ptr<NodeCommandService> commands_;
  std::unique_ptr<NodeAccessService> access_;
  std::unique_ptr<EnrolmentService> enrolment_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<Upkeep> upkeep_;
  std::unique_ptr<service::HttpEndpoint> http_;
};

}  // namespace assay::collector
