// SPDX-License-Identifier: Apache-2.0
#include "collector/app/collector.h"

#include "collector/identity/authority_dir.h"
#include "collector/identity/authority_rotation.h"
#include "collector/identity/certificates.h"
#include "collector/identity/first_token.h"
#include "collector/identity/server_chain.h"
#include "collector/kubernetes/api_server.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "common/base/guarded_file.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxTrustBytes = 1 << 20;
constexpr std::size_t kMaxPemBytes = 1 << 20;
constexpr std::chrono::seconds kUpkeepInterval{5};
constexpr std::chrono::milliseconds kGrace{500};
constexpr std::chrono::seconds kAccessInterval{10};

Result<catalog::TrustRoot> load_trust(const std::string& path) {
  auto text = read_guarded_file(path, kMaxTrustBytes, Guard::kTrusted);
  if (!text)
    return Error{
        ErrorCode::kInvalidArgument,
        "trust_file: " + text.error().text() +
            ": it holds the public keys that may sign the catalog (\"assay key new\" makes "
            "a pair)"};
  auto trust = catalog::TrustRoot::parse(*text);
  if (!trust) return std::move(trust.error()).with_context("trust_file " + path);
  return trust;
}

/// "": none. A key that lies where nobody said that it counts is left alone when it does not fit.
Result<std::string> load_authority_key(const CollectorConfig& config, const std::string& bundle) {
  const std::string path = config.in_data_dir(config.enrol_ca_key, "ca-key.pem");
  auto key = read_guarded_file(path, kMaxPemBytes, Guard::kSecret);
  if (config.enrol_ca_key.empty() && (key || key.error().code == ErrorCode::kNotFound))
    return key && certificate_of_key(bundle, *key) ? std::move(*key) : std::string();
  if (!key) return std::move(key.error()).with_context("enrol.ca_key");
  return key;
}

/// Agents that enrol are told to believe what is in tls.ca and nothing else.
Result<void> check_believed(const CollectorConfig& config, const ServerFiles& files,
                            const ServerMaterial& material, WallTime now) {
  const auto checked = check_server_chain(material.pair.certificate, material.authority, now);
  if (checked) return ok();
  return Error{ErrorCode::kInvalidArgument,
               files.cert_path + " (tls.cert) is not believed by those who trust " + files.ca_path +
                   " (tls.ca): " + checked.error().message +
                   "; agents that enrol would be locked out. Add its authority to tls.ca and what "
                   "stands between them to tls.cert, or let tls.cert and tls.key name a "
                   "certificate of an authority in tls.ca; if this collector is to issue no "
                   "certificates, move " +
                   config.in_data_dir(config.enrol_ca_key, "ca-key.pem") + " (enrol.ca_key) away"};
}

ConnectionLimits connection_limits(const CollectorConfig& config) {
  ConnectionLimits limits;
  limits.connections = config.max_connections;
  limits.address_connections = config.max_address_connections;
  limits.address_rate = config.max_address_rate;
  limits.unproven_age = config.unproven_age;
  // A client may begin more before it has heard of the limit; streams that end are held a while.
  limits.streams = 2 * config.max_concurrent_streams + 128;
  limits.wasted_bytes = config.max_message_bytes + (1ULL << 20);
  return limits;
}

DoorOptions door_options(const CollectorConfig& config) {
  const double failures = config.failures_per_minute;
  return {{static_cast<double>(config.calls_per_second), static_cast<double>(config.calls_burst)},
          {failures / 60, failures}};
}

PeopleLimits people_limits(const CollectorConfig& config) {
  return {config.max_token_lifetime, config.max_mute};
}

}  // namespace

Result<std::unique_ptr<Collector>> Collector::start(const CollectorConfig& config, Clock& clock,
                                                    service::Log& log) {
  // What a person got wrong most likely is told first, before any file is made.
  ASSAY_TRY(check_listenable(config.listen));
  std::unique_ptr<Collector> collector(new Collector(config, clock, log));
  ASSAY_TRY(collector->open_store());
  ASSAY_TRY(collector->open_catalog());
  ASSAY_TRY(collector->open_access());
  ASSAY_TRY(collector->open_enrolment());
  ASSAY_TRY(collector->open_server());
  ASSAY_TRY(collector->open_http());
  log.info("ready", {{"listen", config.listen},
                     {"http", config.http_address},
                     {"catalog_sequence", std::to_string(collector->keeper_->sequence())},
                     {"version", ASSAY_VERSION}});
  return collector;
}

Result<void> Collector::open_store() {
  SqliteStoreOptions options;
  options.path = config_.in_data_dir(config_.store_path, "collector.db");
  options.readers = static_cast<int>(config_.query_threads) + 1;
  options.cache_bytes = config_.store_cache();
  auto store = SqliteStore::open(options);
  if (!store) return std::move(store.error());
  store_ = std::move(*store);
  ASSAY_ASSIGN(auto nodes, store_->load_nodes());
  nodes_ = std::make_unique<NodeRegistry>(std::move(nodes), clock_, config_.heartbeat_interval);
  return ok();
}

Result<void> Collector::open_catalog() {
  ASSAY_ASSIGN(catalog::TrustRoot trust, load_trust(config_.trust_file));
  ASSAY_ASSIGN(catalog::SignedLog log, store_->load_catalog());
  ASSAY_ASSIGN(KeptLog kept, verify_stored(std::move(log), trust));
  CommitOptions options;
  options.budget = {config_.queued_bytes(), [this] { return memory_.is_short(); }};
  options.max_remembered_stacks = config_.remembered_stacks();
  options.retention = config_.retention;
  ASSAY_ASSIGN(loop_,
               CommitLoop::start(*store_, *nodes_, clock_, kept.catalog, options,
                                 [this](const std::string& problem) { log_problem(problem); }));
  ASSAY_ASSIGN(catalog::SigningKey mark_key,
               load_mark_key(config_.in_data_dir(config_.mark_key, "mark-key.pem")));
  keeper_ = std::make_unique<SignedLogKeeper>(std::move(kept), std::move(trust),
                                              std::move(mark_key), *loop_, clock_);
  return ok();
}

/// The token that init made is taken in once; then its file is of no more use.
Result<void> Collector::open_access() {
  const std::string first = config_.data_dir + "/" + kFirstTokenFile;
  ASSAY_ASSIGN(const auto token, read_first_token(first, config_.max_token_lifetime));
  if (token) {
    const AuditEntry entry{to_unix_ns(clock_.wall_now()),
                           "collector",
                           "token.create",
                           "token:" + token->view.name + "/" + token->view.id,
                           "done",
                           "made by assay-collector init"};
    ASSAY_TRY(
        loop_->change(first.size(), [row = *token, entry](StoreWriter& store) -> Result<void> {
          ASSAY_TRY(store.add_token(row));
          return store.audit(entry);
        }));
    ASSAY_TRY(remove_first_token(first));
  }
  ASSAY_ASSIGN(auto rows, store_->load_tokens());
  tokens_ = std::make_unique<TokenBook>(std::move(rows));
  const WallTime now = clock_.wall_now();
  if (tokens_->forget_old(now) > 0)  // a disk that is full keeps their rows until the next time
    (void)loop_->change(
        0, [now](StoreWriter& store) { return store.forget_tokens(to_unix_ns(now - kTokenKept)); });
  door_ = std::make_unique<Doorkeeper>(*tokens_, *loop_, proofs_, clock_, door_options(config_));
  access_timer_ = std::make_unique<AccessTimer>(*tokens_, *loop_, kAccessInterval);
  return ok();
}

void Collector::log_problem(const std::string& problem) {
  if (problem.empty()) return log_.info("the store takes writes again");
  std::uint64_t held_back = 0;
  if (problem_limit_.allow(held_back))
    log_.error(problem, {{"held_back", std::to_string(held_back)}});
}

Result<Collector::Certificates> Collector::load_certificates(const CollectorConfig& config,
                                                             WallTime now) {
  const ServerFiles files{config.in_data_dir(config.tls_cert, "server.pem"),
                          config.in_data_dir(config.tls_key, "server-key.pem"),
                          config.in_data_dir(config.tls_ca, "ca.pem")};
  ASSAY_ASSIGN(ServerMaterial material, load_server_files(files, now));
  Certificates loaded;
  ASSAY_ASSIGN(loaded.authority.key, load_authority_key(config, material.authority));
  if (!loaded.authority.key.empty()) ASSAY_TRY(check_believed(config, files, material, now));
  loaded.authority.bundle = material.authority;
  loaded.authority.lifetime = config.certificate_lifetime;
  loaded.server = {std::move(material.pair.certificate), std::move(material.pair.key),
                   std::move(material.authority)};
  return loaded;
}

Result<void> Collector::open_enrolment() {
  ASSAY_ASSIGN(Certificates certificates, load_certificates(config_, clock_.wall_now()));
  ASSAY_ASSIGN(certifier_, Certifier::create(certificates.authority, clock_));
  ASSAY_ASSIGN(Enrolments saved, store_->load_enrolments());
  book_ = std::make_unique<EnrolmentBook>(std::move(saved), *loop_, *nodes_, *certifier_, clock_);
  enrolled_ = std::make_unique<EnrolledNodes>(*nodes_, *book_, *certifier_);
  if (!config_.kubernetes_api.empty()) {
    ASSAY_ASSIGN(reviewer_, make_account_reviewer(
                                {config_.kubernetes_cluster.empty() ? cluster_of(config_.data_dir)
                                                                    : config_.kubernetes_cluster,
                                 config_.kubernetes_api,
                                 config_.kubernetes_ca,
                                 config_.kubernetes_token,
                                 {config_.kubernetes_audience, config_.kubernetes_accounts}}));
  }
  EnrolmentOptions options;
  options.rates.all.per_second = config_.enrol_rate;
  options.rates.all.burst = 2.0 * config_.enrol_rate;
  options.rates.address.per_second = config_.enrol_address_rate;
  options.rates.address.burst = 5.0 * config_.enrol_address_rate;
  enrolment_ =
      EnrolmentService::create(*book_, *certifier_, reviewer_.get(), *loop_, clock_, options);
  const MutexLock lock(live_mutex_);
  certificates_ = std::move(certificates);
  return ok();
}

void Collector::use_certificates(Certificates certificates) {
  {
    const MutexLock lock(live_mutex_);
    if (certificates == certificates_) return;
    certificates_ = certificates;
  }
  // First what is believed, then what is shown.
  (void)certifier_->set(certificates.authority);  // as it was checked by load_certificates
  server_->set_certificates(std::move(certificates.server));
  link_->push_trust();
}

void Collector::look_after_certificates() {
  CollectorConfig live;
  Certificates present;
  {
    const MutexLock lock(live_mutex_);
    live = live_;
    present = certificates_;
  }
  const WallTime now = clock_.wall_now();
  // Only what init made, and where it made it.
  if (live.tls_cert.empty() && live.tls_key.empty() && live.enrol_ca_key.empty() &&
      !present.authority.key.empty()) {
    const auto renewed = renew_server(live.data_dir, Renewal::kIfDue, now);
    if (renewed && *renewed) log_.info("the server's certificate was renewed");
    const std::string problem = renewed ? "" : renewed.error().text();
    if (renewal_problem_.is_news(problem))
      log_.error("the server's certificate is not renewed", {{"reason", problem}});
  }
  auto loaded = load_certificates(live, now);
  if (loaded)
    if (auto made = Certifier::create(loaded->authority, clock_); !made) loaded = made.error();
  const std::string problem = loaded ? "" : loaded.error().text();
  if (certificate_problem_.is_news(problem))
    log_.error("the certificates' files are not usable; those from before stay in use",
               {{"reason", problem}});
  if (loaded && *loaded != present) {
    use_certificates(std::move(*loaded));
    log_.info("other certificates are in use");
  }
  link_->end_expired();
}

void Collector::log_refused(std::string_view reason, const std::string& address) {
  std::uint64_t held_back = 0;
  if (refused_limit_.allow(held_back))
    log_.warn("a connection was refused", {{"limit", "limits." + std::string(reason)},
                                           {"address", address},
                                           {"held_back", std::to_string(held_back)}});
}

Result<void> Collector::open_server() {
  AgentLinkOptions link;
  link.version = ASSAY_VERSION;
  link.heartbeat_interval = config_.heartbeat_interval;
  link.max_in_flight_bytes = config_.max_agent_bytes;
  link_ = AgentLink::create(*loop_, *keeper_, *loop_, {*book_, *certifier_}, clock_, link);
  queries_ =
      QueryServices::create(*store_, *keeper_, *enrolled_, *loop_, *door_, clock_,
                            {static_cast<int>(config_.query_threads), 256, people_limits(config_)});
  commands_ = NodeCommandService::create(*door_, link_->commands(), *nodes_, *loop_, clock_);
  access_ = NodeAccessService::create(*book_, *certifier_, link_->commands(), *door_, clock_,
                                      cluster_of(config_.data_dir));
  keeper_->set_on_change([this] { on_catalog_change(); });
  marks_ = std::make_unique<MarkTimer>(*keeper_, [this] { link_->push_mark(); });
  GrpcServerOptions options;
  options.on_refused = [this](std::string_view reason, const std::string& address) {
    log_refused(reason, address);
  };
  options.address = config_.listen;
  {
    const MutexLock lock(live_mutex_);
    options.certificates = certificates_.server;
  }
  options.max_memory_bytes = config_.grpc_memory();
  options.max_concurrent_streams = config_.max_concurrent_streams;
  options.max_message_bytes = static_cast<std::uint32_t>(config_.max_message_bytes);
  options.max_metadata_bytes = static_cast<std::uint32_t>(config_.max_metadata_bytes);
  options.handshake_timeout = config_.handshake_timeout;
  options.idle_timeout = config_.idle_timeout;
  options.connection_age = config_.connection_age;
  options.connections = connection_limits(config_);
  options.is_memory_short = [this] { return memory_.is_tight(); };
  options.proofs = &proofs_;
  auto services = queries_->services();
  services.push_back(&link_->service());
  services.push_back(&commands_->service());
  services.push_back(&access_->service());
  services.push_back(&enrolment_->service());
  ASSAY_ASSIGN(server_, GrpcServer::start(options, services));
  upkeep_ = std::make_unique<Upkeep>(kUpkeepInterval, [this] { look_after_certificates(); });
  is_listening_ = true;
  return ok();
}

void Collector::on_catalog_change() {
  link_->push_catalog();
  log_.info("catalog changed", {{"sequence", std::to_string(keeper_->sequence())},
                                {"root", std::to_string(keeper_->root_version())}});
  if (keeper_->wants_marks() && !keeper_->is_mark_trusted())
    log_.warn("the root names mark keys, but not this collector's: agents say stale",
              {{"key", keeper_->mark_key_id()}});
}

Result<void> Collector::open_http() {
  if (config_.http_address.empty()) return ok();
  service::HttpEndpointOptions options;
  options.address = config_.http_address;
  options.not_ready = [this] { return not_ready(); };
  options.metrics = [this] { return metrics_text(); };
  auto http = service::HttpEndpoint::start(std::move(options));
  if (!http) return std::move(http.error()).with_context("http.address");
  http_ = std::move(*http);
  return ok();
}

std::string Collector::metrics_text() {
  MetricsExport::Context context{clock_.wall_now(), config_.max_memory, server_->port_counts()};
  if (const auto counts = store_->finding_counts()) context.findings = *counts;
  return metrics_.text(*loop_, *nodes_, *keeper_, context);
}

std::vector<std::string> Collector::not_ready() const {
  std::vector<std::string> reasons;
  if (!is_listening_) reasons.emplace_back("not listening for agents");
  if (loop_->is_failing()) reasons.emplace_back("the store does not take writes");
  return reasons;
}

Result<void> Collector::reload(const CollectorConfig& next) {
  ASSAY_ASSIGN(Certificates certificates, load_certificates(next, clock_.wall_now()));
  ASSAY_TRY(Certifier::create(certificates.authority, clock_));
  ASSAY_ASSIGN(catalog::TrustRoot trust, load_trust(next.trust_file));
  ASSAY_TRY(keeper_->set_trust(std::move(trust)));
  ASSAY_TRY(log_.set_options({next.log_level, next.log_format}));
  // Nothing below fails.
  {
    const MutexLock lock(live_mutex_);
    live_ = next;
  }
  use_certificates(std::move(certificates));
  server_->set_max_memory(next.grpc_memory());
  server_->set_connection_limits(connection_limits(next));
  loop_->set_max_queued_bytes(next.queued_bytes());
  loop_->set_retention(next.retention);
  link_->set_limits(next.heartbeat_interval, next.max_agent_bytes);
  const DoorOptions door = door_options(next);
  door_->set_rates(door.calls, door.failures);
  queries_->set_limits(people_limits(next));
  return ok();
}

void Collector::stop() {
  is_listening_ = false;
  upkeep_.reset();
  if (server_) server_->shut_down(kGrace);
  http_.reset();
  marks_.reset();
  server_.reset();
  enrolment_.reset();
  access_.reset();
  commands_.reset();
  queries_.reset();
  access_timer_.reset();
  door_.reset();
  loop_.reset();  // commits what waits; its callbacks may still touch streams
  link_.reset();
  enrolled_.reset();
  book_.reset();
  reviewer_.reset();
  certifier_.reset();
  keeper_.reset();
  tokens_.reset();
  nodes_.reset();
  store_.reset();
}

Collector::~Collector() {
  stop();
}

}  // namespace assay::collector
