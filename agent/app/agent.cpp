// SPDX-License-Identifier: Apache-2.0
#include "agent/app/agent.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "agent/app/machine.h"
#include "agent/app/pipeline.h"
#include "agent/app/view_rows.h"
#include "agent/confine/call_filter.h"
#include "agent/uplink/tls_files.h"
#include "common/base/guarded_file.h"
#include "common/image/fingerprint.h"
#include "common/service/code_pages.h"
#include "common/service/process_stats.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxTrustFileBytes = 1U << 20;
constexpr std::chrono::milliseconds kFlushAtStop{2000};
constexpr std::chrono::minutes kFloorWriteInterval{1};
constexpr std::chrono::minutes kClockSetBack{1};  // NTP's usual corrections are smaller

/// Whoever may write there could make the agent forget what it knows, or believe what it never saw.
Result<void> check_folder(const std::string& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return system_error("state_dir " + folder);
  if (status.st_uid != ::geteuid())
    return Error{ErrorCode::kUntrusted,
                 "state_dir " + folder + " belongs to user " + std::to_string(status.st_uid) +
                     ": chown it to the user that runs the agent, or give another state_dir"};
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Error{ErrorCode::kUntrusted,
                 "state_dir " + folder + ": others may write to it: chmod 700 " + folder};
  return ok();
}

Result<UniqueFd> lock_folder(const std::string& folder) {
  std::error_code error;
  const bool is_new = std::filesystem::create_directories(folder, error);
  if (error) return system_error("create state_dir " + folder, error.value());
  if (is_new && ::chmod(folder.c_str(), 0700) != 0) return system_error("chmod " + folder);
  ASSAY_TRY(check_folder(folder));
  const std::string path = folder + "/lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return system_error("open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return system_error("lock " + path);
  return Error{ErrorCode::kUnavailable, "state_dir " + folder +
                                            " is in use by another assay-agent: stop it, or give "
                                            "this one another state_dir"};
}

UplinkOptions uplink_options(const AgentConfig& config, const std::string& boot_id) {
  UplinkOptions options;
  options.address = config.collector_address;
  options.cluster = config.cluster;
  options.node = config.node;
  options.boot_id = boot_id;
  options.version = ASSAY_VERSION;
  options.kernel = kernel_release();
  options.fingerprint_version = image::kFingerprintVersion;
  return options;
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
    : config_(std::move(config)),
      clock_(clock),
      log_(log),
      started_(clock.wall_now()),
      source_(std::move(source)),
      background_(background_limits(config_)),
      health_metrics_(metrics_, ASSAY_VERSION, kernel_release()) {}

Agent::~Agent() {
  stop();
}

Result<void> Agent::open_state() {
  ASSAY_ASSIGN(boot_id_, read_boot_id());
  ASSAY_ASSIGN(state_lock_, lock_folder(config_.state_dir));
  ASSAY_ASSIGN(state_, StateDb::open(config_.state_dir + "/state.db"));
  OutboxOptions options;
  options.boot_id = boot_id_;
  options.opened = {clock_.wall_now(), clock_.boot_now()};
  options.limits.max_bytes = config_.outbox_max_bytes;
  ASSAY_ASSIGN(outbox_, Outbox::open(config_.state_dir + "/outbox.db", options));
  journal_ = std::make_unique<OutboxJournal>(*outbox_, clock_, recording_limits(config_));
  commits_ = std::make_unique<CommitWatch>(commit_ports());
  continuity_ =
      std::make_unique<Continuity>(Continuity::Ports{*outbox_, *state_, *journal_, clock_, log_});
  return ok();
}

CommitWatch::Ports Agent::commit_ports() {
  CommitWatch::Ports ports;
  ports.recorded = [this] { return outbox_->appended(); };
  ports.stored = [this] { return outbox_->committed(); };
  ports.on_stored = [this](std::uint64_t ticket) { source_->release(ticket); };
  return ports;
}

TlsFiles Agent::tls_files(const AgentConfig& config) const {
  if (enroller_) return enroller_->files();
  return {config.tls_ca, config.tls_certificate, config.tls_key};
}

Result<void> Agent::open_enroller() {
  if (!config_.is_enrolling()) return ok();
  EnrolOptions options;
  options.address = config_.collector_address;
  options.cluster = config_.cluster;
  options.node = config_.node;
  options.folder = config_.state_dir + "/identity";
  options.token_file = config_.enrol_token_file;
  options.service_account_file = config_.enrol_service_account_file;
  options.ca_file = config_.enrol_ca;
  EnrolCallbacks callbacks;
  callbacks.on_certificate = [this] { on_certificate(); };
  callbacks.on_problem = [this](const std::string& problem) {
    log_.error("no new certificate for this node; it is tried again", {{"reason", problem}});
  };
  callbacks.on_warning = [this](const std::string& problem) {
    log_.warn("this node's certificate is renewed too often", {{"reason", problem}});
  };
  ASSAY_ASSIGN(enroller_, Enroller::create(std::move(options), clock_, std::move(callbacks)));
  return ok();
}

void Agent::on_certificate() {
  const auto material = load_tls_files(enroller_->files());
  if (!material)
    return log_.error("the new certificate is not usable", {{"reason", material.error().text()}});
  log_.info("a new certificate for this node");
  std::string address;
  {
    const MutexLock lock(address_mutex_);
    address = address_;
  }
  uplink_->reload(address, enroller_->files(), *material);
}

Result<void> Agent::open_uplink() {
  ASSAY_TRY(open_enroller());
  UplinkOptions options = uplink_options(config_, boot_id_);
  options.tls = tls_files(config_);
  {
    const MutexLock lock(address_mutex_);
    address_ = options.address;
  }
  if (!options.address.empty() && !enroller_)
    if (auto tls = load_tls_files(options.tls); !tls) return std::move(tls.error());
  UplinkCallbacks callbacks;
  callbacks.health = [this] { return health(); };
  callbacks.on_catalog = [this](catalog::SignedLog log) { catalog_->offer(std::move(log)); };
  callbacks.on_state_request = [this](std::uint64_t request, const std::string& reason) {
    log_.info("the collector asks for the full state of this node", {{"reason", reason}});
    loop_.post_state_request(request);
  };
  callbacks.on_file_set_wish = [this](const FileSetWish& wish) { file_sets_->ask(wish); };
  callbacks.take_file_set = [this] { return file_sets_->take(); };
  callbacks.on_verify = [this](const VerifyCommand& command) {
    log_.info("the collector commands to verify",
              {{"by", command.actor},
               {"target", command.order.target.empty() ? "all layers" : command.order.target}});
    commands_->verify(command);
  };
  callbacks.on_command_cancelled = [this](std::uint64_t command) { commands_->cancel(command); };
  callbacks.take_answer = [this] { return commands_->take(); };
  callbacks.on_stream_ended = [this] { commands_->end_stream(); };
  if (enroller_) {
    callbacks.trust = [this] { return enroller_->trust(); };
    callbacks.on_trust = [this](const std::vector<std::string>& authorities,
                                const std::string& issuer) {
      const auto kept = enroller_->take_trust(authorities, issuer);
      if (kept)
        log_.info("other authorities are trusted", {{"count", std::to_string(authorities.size())}});
      else
        log_.error("the collector's authorities are not taken", {{"reason", kept.error().text()}});
      return kept.has_value();
    };
  }
  callbacks.on_status = [this] { log_uplink(); };
  uplink_ = std::make_unique<Uplink>(std::move(options), *outbox_, std::move(callbacks));
  return ok();
}

Result<Agent::TrustFile> Agent::load_trust(const AgentConfig& config) {
  if (config.trust_file.empty()) return TrustFile{};
  auto text = read_guarded_file(config.trust_file, kMaxTrustFileBytes, Guard::kTrusted);
  if (!text) return std::move(text.error()).with_context("trust_file");
  auto parsed = catalog::TrustRoot::parse(*text);
  if (!parsed) return std::move(parsed.error()).with_context("trust_file " + config.trust_file);
  return TrustFile{std::move(*text), std::move(*parsed)};
}

Result<void> Agent::open_trust() {
  ASSAY_ASSIGN(TrustFile trust, load_trust(config_));
  trust_text_ = std::move(trust.text);
  time_floor_ = std::make_unique<TimeFloor>(clock_, state_->time_floor());
  CatalogKeeper::Callbacks callbacks;
  callbacks.on_trusted = [this](std::shared_ptr<const catalog::Catalog> trusted) {
    log_catalog(*trusted);
    loop_.post_catalog(std::move(trusted));
    uplink_->heartbeat();  // the collector waits for who holds which catalog
  };
  callbacks.on_refused = [this](std::uint64_t sequence, const std::string& reason) {
    on_refused_catalog(sequence, reason);
  };
  callbacks.on_time = [this](WallTime time) { time_floor_->raise(time); };
  const bool has_trust = trust.root.has_value();
  catalog_ = std::make_unique<CatalogKeeper>(std::move(trust.root), *state_, *time_floor_,
                                             std::move(callbacks));
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
  records_ = std::make_unique<DiskRecords>(runtime_roots(config_));
  recorded_ =
      std::make_unique<NodeRecords>(TaskBundles(config_.containerd_states, *records_, clock_));
  claims_ = std::make_unique<ClaimDesk>(claim_sources(config_), directories_);
  recogniser_ = std::make_unique<NoteRecogniser>(note_roots(config_), processes_);
  IdentifierOptions identifying = identifier_options(config_);
  identifying.records = state_.get();
  identifying.clock = &clock_;
  identifying.budget = &background_;
  identifier_ = std::make_unique<LayerIdentifier>(*opener_, *state_, identifying);
  rewalker_ = std::make_unique<LayerRewalker>(rewalk_ports(), rewalk_options(config_));
  exact_ = std::make_unique<ExactDesk>(exact_ports(), exact_options(config_));
  views_ = std::make_unique<ViewDesk>(ViewDesk::Ports{*opener_, roots_, clock_});
  auditor_ = std::make_unique<Auditor>(
      Auditor::Ports{
          *journal_, *identifier_, *records_, *journal_, *source_, clock_,
          [this](LayerResult result) { loop_.post_layer(std::move(result)); },
          [this] { return time_floor_->wall_now(); }, claims_.get(),
          [this](RunClaims claims) { loop_.post_claims(std::move(claims)); }, rewalker_.get(),
          views_.get(), [this](ViewReport report) { loop_.post_view(std::move(report)); },
          recorded_.get(), recogniser_.get(),
          [this](RecognitionReport report) { loop_.post_recognition(std::move(report)); }},
      auditor_config(config_, boot_id_));
  file_sets_ = std::make_unique<FileSetDesk>(
      FileSetDesk::Ports{*opener_,
                         [this](const StackDigest& stack, const auto& then) {
                           loop_.post(
                               [stack, then](Auditor& auditor) { then(auditor.layers_of(stack)); });
                         },
                         [this] { uplink_->notify(); }, &background_},
      fingerprint_limits(config_));
  open_commands();
}

void Agent::open_commands() {
  verifier_ = std::make_unique<VerifyDesk>(VerifyDesk::Ports{
      *rewalker_,
      [this](const std::string& target, const auto& then) {
        loop_.post([target, then](Auditor& auditor) { then(auditor.layers_to_verify(target)); });
      },
      [this](const auto& runs, auto then) {
        loop_.post([runs, then = std::move(then)](Auditor& auditor) {
          ViewRows::collect(auditor, runs, then);
        });
      },
      exact_.get()});
  commands_ = std::make_unique<CommandDesk>(*verifier_, [this] { uplink_->notify(); });
}

Result<void> Agent::start_local() {
  if (config_.local_socket.empty()) return ok();
  LocalServerPorts ports{*verifier_,
                         [this](const std::string& target) {
                           log_.info("a local user commands to verify",
                                     {{"target", target.empty() ? "all layers" : target}});
                         },
                         [this](const SocketPeer& peer) {
                           std::uint64_t held_back = 0;
                           if (local_refusals_.allow(held_back))
                             log_.warn("a connection to the local socket was refused",
                                       {{"uid", std::to_string(peer.uid)},
                                        {"pid", std::to_string(peer.pid)},
                                        {"held_back", std::to_string(held_back)}});
                         }};
  ASSAY_ASSIGN(local_, LocalServer::start(config_.local_socket, std::move(ports)));
  return ok();
}

LayerRewalker::Ports Agent::rewalk_ports() {
  return {*opener_,
          *state_,
          clock_,
          [this](const auto& then) {
            loop_.post([then](Auditor& auditor) { then(auditor.running_layers()); });
          },
          [this](const LayerTampering& tampering) { on_tampering(tampering); },
          [this](const LayerTask& task, const Error& error) {
            log_.warn("a layer could not be walked again",
                      {{"layer", task.layer.name}, {"reason", error.text()}});
          },
          &background_};
}

ExactDesk::Ports Agent::exact_ports() {
  ExactDesk::Ports ports{
      {*opener_, *claims_, streams_, &background_}, *state_, clock_, {}, {}, {}, {}, {}, {}};
  ports.find_layers = [this](const auto& wants, const auto& then) {
    loop_.post([wants, then](Auditor& auditor) { then(auditor.layers_to_prove(wants)); });
  };
  ports.on_proof = [this](const LayerRef& ref, const std::optional<LayerExact>& exact) {
    identifier_->on_proof(ref, exact);
    if (exact) loop_.post([exact](Auditor& auditor) { auditor.on_exact(*exact); });
  };
  ports.on_mismatch = [this](const LayerMismatch& mismatch) {
    log_.error("a layer is not what its tar stream says",
               {{"inode", std::to_string(mismatch.ref.inode)}, {"differs", mismatch.text}});
    loop_.post([mismatch](Auditor& auditor) { auditor.on_mismatch(mismatch); });
  };
  ports.on_unproven = [this](const LayerUnproven& unproven) {
    loop_.post([unproven](Auditor& auditor) { auditor.on_unproven(unproven); });
  };
  ports.on_changed = [this](const LayerTask& task) { rewalker_->walk_now(task); };
  ports.on_failure = [this](const LayerTask& task, const Error& error) {
    log_.warn("a layer could not be proven",
              {{"layer", task.layer.name}, {"reason", error.text()}});
  };
  return ports;
}

void Agent::on_tampering(const LayerTampering& tampering) {
  if (tampering.is_news)
    log_.error("a layer is not what it was when it was first read",
               {{"inode", std::to_string(tampering.ref.inode)}, {"changed", tampering.tampered}});
  identifier_->on_tampering(tampering);
  loop_.post([tampering](Auditor& auditor) { auditor.on_tampering(tampering); });
}

Result<void> Agent::start() {
  ASSAY_TRY(start_http());
  ASSAY_TRY(start_local());
  auditor_->resume();
  continuity_->tell_lost_files();
  start_outbox();
  loop_.start(*auditor_, starts_, commits_.get(), [this] { on_tick(); });
  ASSAY_TRY(source_->start(loop_, continuity_->absent_since()));
  uplink_->start();
  if (enroller_) enroller_->start();
  log_.info(
      "assay-agent is running",
      {{"version", ASSAY_VERSION},
       {"cluster", config_.cluster},
       {"node", config_.node},
       {"collector", config_.collector_address.empty() ? "none" : config_.collector_address}});
  return ok();
}

void Agent::start_outbox() {
  Outbox::Callbacks callbacks;
  callbacks.on_committed = [this] {
    uplink_->notify();
    commits_->look();
  };
  callbacks.make_gap = [this](const DroppedEvents& dropped) { return journal_->make_gap(dropped); };
  callbacks.on_trouble = [this](const std::string& error) { log_outbox(error); };
  callbacks.on_lost = [this] { loop_.post_state_request(0); };  // what runs now is told once more
  callbacks.settled_until = [this] {
    const BootTime settled = loop_.settled_until();
    return Moment{clock_.wall_now() - (clock_.boot_now() - settled), settled};
  };
  outbox_->start(std::move(callbacks));
}

void Agent::on_tick() {
  continuity_->on_tick();
  rewalker_->on_tick();
  opener_->on_tick();
  exact_->on_tick();
  log_denied_calls();
  const WallTime floor = time_floor_->observe();
  const BootTime now = clock_.boot_now();
  if (now - floor_written_ < kFloorWriteInterval) return;
  floor_written_ = now;
  service::let_go_of_code();  // of whatever was done meanwhile: connecting, hashing, verifying
  state_->put_time_floor(floor);
  if (floor > clock_.wall_now() + kClockSetBack)
    log_.warn("the clock was set back: dates in the catalog are compared with the latest time seen",
              {{"clock", to_rfc3339(clock_.wall_now())}, {"latest", to_rfc3339(floor)}});
}

Result<void> Agent::reload(const AgentConfig& next) {
  std::optional<TlsMaterial> material;
  if (enroller_) {
    // What it has may be nothing yet; what it gets later it takes over by itself.
    if (auto loaded = load_tls_files(enroller_->files()); loaded) material = std::move(*loaded);
  } else if (!next.collector_address.empty()) {
    ASSAY_ASSIGN(material, load_tls_files(tls_files(next)));
  }
  ASSAY_ASSIGN(TrustFile trust, load_trust(next));
  ASSAY_TRY(log_.set_options({next.log_level, next.log_format}));
  // Nothing below fails.
  {
    const MutexLock lock(address_mutex_);
    address_ = next.collector_address;
  }
  if (enroller_) enroller_->set_address(next.collector_address);
  uplink_->reload(next.collector_address, tls_files(next), material.value_or(TlsMaterial{}));
  if (trust.text != trust_text_) catalog_->set_trust(std::move(trust.root));
  trust_text_ = std::move(trust.text);
  outbox_->set_max_bytes(next.outbox_max_bytes);
  journal_->set_limits(recording_limits(next));
  identifier_->set_limits(fingerprint_limits(next));
  rewalker_->set_limits(fingerprint_limits(next));
  background_.set_limits(background_limits(next));
  rewalker_->set_interval(next.rewalk_interval);
  const ExactOptions exact = exact_options(next);
  exact_->set_options(exact.is_on, exact.interval, exact.limits);
  source_->set_sweep_interval(next.sweep_interval);
  loop_.post([level = exec_level_of(next.exec_level)](Auditor& auditor) {
    auditor.set_exec_level(level);
  });
  return ok();
}

void Agent::walk_layers() {
  log_.info("the layers of running containers are walked again");
  rewalker_->walk_all();
  loop_.post([](Auditor& auditor) { auditor.check_views("", {}); });
}

void Agent::count_reload(bool is_ok) {
  is_last_reload_ok_ = is_ok;
  ++reloads_;
}

void Agent::log_denied_calls() {
  const DeniedCalls denied = denied_calls();
  // Each doubling once: whatever makes the calls may go on for ever.
  if (denied.count == 0 || denied.count < denied_logged_ * 2) return;
  denied_logged_ = denied.count;
  log_.error("the agent's own seccomp filter refused a system call",
             {{"call", denied.last}, {"refused", std::to_string(denied.count)}});
}

void Agent::log_outbox(const std::string& error) {
  if (error.empty())
    log_.info("the outbox takes writes again");
  else
    log_.error(
        "the outbox takes no writes: events wait in memory, and are dropped when that is full",
        {{"reason", error}, {"folder", config_.state_dir}});
}

void Agent::stop() {
  if (std::exchange(is_stopped_, true)) return;
  http_.reset();
  source_->stop();
  loop_.stop();
  if (outbox_ && !outbox_->flush(kFlushAtStop) && outbox_->status().queued > 0)
    log_.error("events were lost: the outbox takes no writes",
               {{"reason", outbox_->status().error}});
  if (state_) (void)state_->flush(kFlushAtStop);
  if (commits_) commits_->look();
  // First the threads that call into the parts, then the parts.
  if (enroller_) enroller_->stop();
  if (uplink_) uplink_->stop();
  if (commands_) commands_->end_stream();
  local_.reset();
  verifier_.reset();
  commands_.reset();
  file_sets_.reset();
  exact_.reset();
  views_.reset();
  rewalker_.reset();
  identifier_.reset();
  claims_.reset();
  recogniser_.reset();
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
  const AuditorSnapshot auditor = loop_.snapshot();
  health.running = auditor.running;
  health.starts = auditor.starts;
  health.late_starts = auditor.late_starts;
  health.refused_runs = auditor.refused_runs;
  if (identifier_) health.layers_pending = identifier_->pending();
  if (rewalker_) health.rewalks = rewalker_->counts();
  if (verifier_) health.verifies = verifier_->counts();
  if (exact_) health.exact = exact_->counts();
  if (views_) health.views = views_->counts();
  if (state_) health.rewalks.evicted = state_->evicted_records();
  if (const auto stats = service::read_process_stats()) {
    health.rss_bytes = stats->rss_bytes;
    health.cpu = stats->cpu_time;
  }
  health.started = started_;
  if (state_) health.state_error = state_->error();
  health.config_reloads = reloads_;
  health.is_config_ok = is_last_reload_ok_;
  DeniedCalls denied = denied_calls();
  health.denied_calls = denied.count;
  health.last_denied_call = std::move(denied.last);
  health.degraded = degraded_modes(health);
  return health;
}

std::string Agent::metrics_text() {
  health_metrics_.update(health(), loop_.snapshot(), clock_.wall_now());
  return metrics_.to_text();
}

void Agent::log_uplink() {
  const UplinkStatus status = uplink_->status();
  if (status.state == UplinkState::kConnected)
    log_.info("connected to the collector", {{"collector", status.address}});
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
