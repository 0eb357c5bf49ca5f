// SPDX-License-Identifier: Apache-2.0
#include "agent/app/agent.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <cerrno>
#include <filesystem>

#include "agent/runtime/containerd/claims.h"
#include "agent/runtime/disk_claims.h"
#include "agent/uplink/tls_files.h"
#include "common/base/file.h"
#include "common/image/fingerprint.h"
#include "common/service/process_stats.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxTrustFileBytes = 1U << 20;
constexpr std::chrono::milliseconds kFlushAtStop{5000};

Result<std::string> read_boot_id() {
  ASSAY_ASSIGN(std::string text, read_file("/proc/sys/kernel/random/boot_id", 128));
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text;
}

Result<UniqueFd> lock_folder(const std::string& folder) {
  std::error_code error;
  const bool is_new = std::filesystem::create_directories(folder, error);
  if (error) return system_error("create state_dir " + folder, error.value());
  if (is_new && ::chmod(folder.c_str(), 0700) != 0) return system_error("chmod " + folder);
  const std::string path = folder + "/lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return system_error("open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return system_error("lock " + path);
  return Error{ErrorCode::kUnavailable, "state_dir " + folder +
                                            " is in use by another assay-agent: stop it, or give "
                                            "this one another state_dir"};
}

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? std::string(name.release) : std::string();
}

UplinkOptions uplink_options(const AgentConfig& config, const std::string& boot_id) {
  UplinkOptions options;
  options.address = config.collector_address;
  options.tls = {config.tls_ca, config.tls_certificate, config.tls_key};
  options.cluster = config.cluster;
  options.node = config.node;
  options.boot_id = boot_id;
  options.version = ASSAY_VERSION;
  options.kernel = kernel_release();
  options.fingerprint_version = image::kFingerprintVersion;
  return options;
}

IdentifierOptions identifier_options(const AgentConfig& config) {
  IdentifierOptions options;
  options.shape_threads = config.shape_threads;
  options.content_threads = config.content_threads;
  options.content_is_idle = config.content_idle;
  options.limits.max_entries = config.max_entries;
  options.limits.max_content_bytes = config.max_content_bytes;
  return options;
}

AuditorConfig auditor_config(const AgentConfig& config, const std::string& boot_id) {
  AuditorConfig auditor;
  auditor.cluster = config.cluster;
  auditor.node = config.node;
  auditor.boot_id = boot_id;
  auditor.record_execs = config.exec_level == "all";
  return auditor;
}

/// In the order in which they are asked.
std::vector<std::unique_ptr<ClaimSource>> claim_sources(const RuntimeRoots& roots,
                                                        const std::vector<std::string>& sockets) {
  std::vector<std::unique_ptr<ClaimSource>> sources;
  sources.push_back(std::make_unique<DiskClaims>(roots));
  if (!sockets.empty())
    sources.push_back(std::make_unique<ContainerdClaims>(ContainerdOptions{.sockets = sockets}));
  return sources;
}

}  // namespace

Result<std::unique_ptr<Agent>> Agent::create(const AgentConfig& config,
                                             std::unique_ptr<EventSource> source,
                                             const Clock& clock, service::Log& log) {
  AgentConfig complete = config;
  if (complete.node.empty()) {
    utsname name{};
    if (::uname(&name) != 0) return system_error("uname");
    complete.node = name.nodename;
  }
  std::unique_ptr<Agent> agent(new Agent(std::move(complete), std::move(source), clock, log));
  ASSAY_TRY(agent->open_state());
  ASSAY_TRY(agent->open_uplink());
  ASSAY_TRY(agent->open_trust());
  agent->open_pipeline();
  return agent;
}

Agent::Agent(AgentConfig config, std::unique_ptr<EventSource> source, const Clock& clock,
             service::Log& log)
    : config_(std::move(config)), clock_(clock), log_(log), source_(std::move(source)) {}

Agent::~Agent() {
  stop();
}

Result<void> Agent::open_state() {
  ASSAY_ASSIGN(boot_id_, read_boot_id());
  ASSAY_ASSIGN(state_lock_, lock_folder(config_.state_dir));
  ASSAY_ASSIGN(state_, StateDb::open(config_.state_dir + "/state.db", boot_id_));
  OutboxOptions options;
  options.limits.max_bytes = config_.outbox_max_bytes;
  ASSAY_ASSIGN(outbox_, Outbox::open(config_.state_dir + "/outbox.db", options));
  journal_ = std::make_unique<OutboxJournal>(
      *outbox_, clock_, RecordingLimits{config_.arguments, config_.max_argument_bytes});
  return ok();
}

Result<void> Agent::open_uplink() {
  if (config_.collector_address.empty()) return ok();
  UplinkOptions options = uplink_options(config_, boot_id_);
  if (auto tls = load_tls_files(options.tls); !tls) return std::move(tls.error());
  UplinkCallbacks callbacks;
  callbacks.health = [this] { return health(); };
  callbacks.on_catalog = [this](catalog::SignedLog log) { catalog_->offer(std::move(log)); };
  callbacks.on_status = [this] { log_uplink(); };
  uplink_ = std::make_unique<Uplink>(std::move(options), *outbox_, std::move(callbacks));
  return ok();
}

Result<void> Agent::open_trust() {
  std::optional<catalog::TrustRoot> trust;
  if (!config_.trust_file.empty()) {
    auto text = read_file(config_.trust_file, kMaxTrustFileBytes);
    if (!text) return std::move(text.error()).with_context("trust_file");
    auto parsed = catalog::TrustRoot::parse(*text);
    if (!parsed) return std::move(parsed.error()).with_context("trust_file " + config_.trust_file);
    trust = std::move(*parsed);
  }
  CatalogKeeper::Callbacks callbacks;
  callbacks.on_trusted = [this](std::shared_ptr<const catalog::Catalog> trusted) {
    log_catalog(*trusted);
    loop_.post_catalog(std::move(trusted));
    if (uplink_) uplink_->heartbeat();  // the collector waits for who holds which catalog
  };
  callbacks.on_refused = [this](std::uint64_t sequence, const std::string& reason) {
    on_refused_catalog(sequence, reason);
  };
  const bool has_trust = trust.has_value();
  catalog_ =
      std::make_unique<CatalogKeeper>(std::move(trust), *state_, clock_, std::move(callbacks));
  if (!has_trust) {
    log_.warn("no trust_file is given: no catalog is trusted and every base is unknown");
    return ok();
  }
  if (auto loaded = catalog_->load(); !loaded)
    log_.warn("the stored catalog is not used", {{"reason", loaded.error().text()}});
  return ok();
}

void Agent::open_pipeline() {
  opener_ = std::make_unique<VerifyingLayerOpener>(boot_id_);
  const RuntimeRoots roots{config_.docker_roots, config_.containerd_states,
                           config_.containers_storage_roots};
  records_ = std::make_unique<DiskRecords>(roots);
  claims_ =
      std::make_unique<ClaimDesk>(claim_sources(roots, config_.containerd_sockets), directories_);
  identifier_ = std::make_unique<LayerIdentifier>(*opener_, *state_, identifier_options(config_));
  auditor_ = std::make_unique<Auditor>(
      Auditor::Ports{*journal_, *identifier_, *records_, *state_, *source_, clock_,
                     [this](LayerResult result) { loop_.post_layer(std::move(result)); },
                     claims_.get(),
                     [this](RunClaims claims) { loop_.post_claims(std::move(claims)); }},
      auditor_config(config_, boot_id_));
}

Result<void> Agent::start() {
  ASSAY_TRY(start_http());
  Outbox::Callbacks callbacks;
  callbacks.on_committed = [this] {
    if (uplink_) uplink_->notify();
  };
  callbacks.make_gap = [this](const DroppedEvents& dropped) { return journal_->make_gap(dropped); };
  outbox_->start(std::move(callbacks));
  auditor_->resume();
  loop_.start(*auditor_);
  ASSAY_TRY(source_->start(loop_));
  if (uplink_) uplink_->start();
  log_.info("assay-agent is running",
            {{"version", ASSAY_VERSION},
             {"cluster", config_.cluster},
             {"node", config_.node},
             {"collector", uplink_ ? config_.collector_address : "none"}});
  return ok();
}

void Agent::stop() {
  if (std::exchange(is_stopped_, true)) return;
  http_.reset();
  source_->stop();
  loop_.stop();
  if (outbox_ && !outbox_->flush(kFlushAtStop) && outbox_->status().queued > 0)
    log_.error("events were lost: the outbox takes no writes",
               {{"reason", outbox_->status().error}});
  // First the threads that call into the parts, then the parts.
  if (uplink_) uplink_->stop();
  identifier_.reset();
  claims_.reset();
  catalog_.reset();
  if (outbox_) outbox_->stop();
}

Result<void> Agent::start_http() {
  if (config_.http_address.empty()) return ok();
  service::HttpEndpointOptions options;
  options.address = config_.http_address;
  options.not_ready = [this] { return not_ready_reasons(health()); };
  options.metrics = [this] { return metrics_text(); };
  ASSAY_ASSIGN(http_, service::HttpEndpoint::start(std::move(options)));
  return ok();
}

AgentHealth Agent::health() const {
  AgentHealth health;
  health.probe = source_->health();
  health.outbox = outbox_->status();
  if (uplink_) health.uplink = uplink_->status();
  if (catalog_) health.catalog = catalog_->status();
  health.queue_dropped = loop_.dropped();
  health.running = loop_.snapshot().running;
  if (identifier_) health.layers_pending = identifier_->pending();
  if (const auto stats = service::read_process_stats()) {
    health.rss_bytes = stats->rss_bytes;
    health.cpu = stats->cpu_time;
  }
  return health;
}

std::string Agent::metrics_text() {
  health_metrics_.update(health(), loop_.snapshot());
  return metrics_.to_text();
}

void Agent::log_uplink() {
  const UplinkStatus status = uplink_->status();
  if (status.state == UplinkState::kConnected)
    log_.info("connected to the collector", {{"collector", config_.collector_address}});
  else if (!status.error.empty())
    log_.warn("no stream to the collector; events stay in the outbox", {{"reason", status.error}});
}

void Agent::log_catalog(const catalog::Catalog& catalog) {
  log_.info("catalog in use", {{"catalog", catalog.id()},
                               {"sequence", std::to_string(catalog.sequence())},
                               {"bases", std::to_string(catalog.bases().size())}});
}

void Agent::on_refused_catalog(std::uint64_t sequence, const std::string& reason) {
  log_.error("catalog refused; the last trusted one stays in use",
             {{"sequence", std::to_string(sequence)}, {"reason", reason}});
  if (uplink_) uplink_->refuse_catalog(sequence, reason);
}

}  // namespace assay::agent
