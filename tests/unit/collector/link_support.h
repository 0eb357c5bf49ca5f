// SPDX-License-Identifier: Apache-2.0
// The whole collector in this process, with real mTLS on loopback, and small clients of it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "assay/v1/agent.grpc.pb.h"
#include "assay/v1/query.grpc.pb.h"
#include "collector/app/collector.h"
#include "collector/identity/authority_dir.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "common/catalog/file_set.h"
#include "common/catalog/signing.h"
#include "common/sqlite/database.h"
#include "tests/unit/collector/support.h"

namespace assay::collector::tests {

inline std::string slurp(const std::string& path) {
  auto bytes = read_file(path, 1 << 20);
  REQUIRE(bytes);
  return *bytes;
}

inline catalog::BaseStack base_stack(std::uint8_t n) {
  return {"linux/amd64",
          "",
          {{std::nullopt, digest_with<ShapeDigest>(n), digest_with<ContentDigest>(n), std::nullopt,
            10, 100}},
          std::nullopt};
}

/// A collector with its authority, the certificates of two nodes and a user, and a signing key.
struct Deployment {
  TempDir dir;
  SystemClock clock;
  std::unique_ptr<service::Log> log;
  catalog::SigningKey key;
  std::function<void(CollectorConfig&)> tweak;
  std::unique_ptr<Collector> collector;
  catalog::SignedLog signed_log;
  catalog::Head head;

  explicit Deployment(std::function<void(CollectorConfig&)> tweaks = {})
      : log(*service::Log::create({"error", "text"})),
        key(*catalog::SigningKey::generate(catalog::KeyType::kEcdsaP256)),
        tweak(std::move(tweaks)) {
    redirect_grpc_log({});
    const WallTime now = clock.wall_now();
    REQUIRE(init_authority({data(), "test", ""}, now));
    for (const char* node : {"node-1", "node-2"})
      REQUIRE(issue_client({data(), node, "", dir.path() + "/" + node}, now));
    REQUIRE(issue_client({data(), "other/node-1", "", dir.path() + "/other-node-1"}, now));
    REQUIRE(issue_client({data(), "", "ann", dir.path() + "/ann", "approver"}, now));
    REQUIRE(issue_client({data(), "", "vic", dir.path() + "/vic"}, now));
    REQUIRE(write_file_atomically(dir.path() + "/trust.pem", key.public_key().pem(), 0644));
    start();
  }

  std::string data() const { return dir.path() + "/data"; }

  /// The one number that `sql` asks the collector's own store for.
  std::int64_t count(const std::string& sql) const {
    auto database = sqlite::Database::open(data() + "/collector.db", {.read_only = true});
    REQUIRE(database);
    auto query = database->prepare(sql);
    REQUIRE(query);
    REQUIRE((*query)->step());
    return (*query)->integer(0);
  }

  void start() {
    collector.reset();
    CollectorConfig config;
    config.data_dir = data();
    config.listen = "127.0.0.1:0";
    config.http_address = "127.0.0.1:0";
    config.trust_file = dir.path() + "/trust.pem";
    config.calls_per_second = 0;  // tests ask until it is so
    if (tweak) tweak(config);
    auto started = Collector::start(config, clock, *log);
    INFO((started ? std::string() : started.error().text()));
    REQUIRE(started);
    collector = std::move(*started);
  }

  std::shared_ptr<grpc::Channel> connect(const std::string& who) const {
    grpc::SslCredentialsOptions tls;
    const std::string folder = dir.path() + "/" + who;
    tls.pem_root_certs = slurp(folder + "/ca.pem");
    tls.pem_private_key = slurp(folder + "/key.pem");
    tls.pem_cert_chain = slurp(folder + "/cert.pem");
    return grpc::CreateChannel("127.0.0.1:" + std::to_string(collector->port()),
                               grpc::SslCredentials(tls));
  }

  catalog::SignedChange sign(catalog::Action action, const catalog::SigningKey& by) {
    catalog::Statement statement = catalog::next_statement(signed_log, head, clock.wall_now());
    statement.action = action;
    statement.base = *catalog::BaseId::parse("debian:12");
    if (action == catalog::Action::kApprove) statement.stacks = {base_stack(1)};
    statement.reason = "test";
    auto change = catalog::sign_change(statement, {by});
    REQUIRE(change);
    return *change;
  }

  /// An approval whose stack names this file set.
  v1::SubmitRequest sign_with_files(const std::string& file_set, std::uint64_t files) {
    catalog::Statement statement = catalog::next_statement(signed_log, head, clock.wall_now());
    statement.base = *catalog::BaseId::parse("debian:12");
    statement.stacks = {base_stack(1)};
    statement.stacks.front().file_set = {FileSetDigest{sha256(file_set).bytes}, files};
    const auto change = catalog::sign_change(statement, {key});
    REQUIRE(change);
    v1::SubmitRequest request;
    request.set_statement(change->statement);
    request.set_head(change->head);
    return request;
  }

  v1::FileSets file_sets(const std::vector<std::string>& digests) {
    grpc::ClientContext context;
    v1::GetFileSetsRequest request;
    for (const std::string& digest : digests)
      request.add_digests(digest);
    v1::FileSets response;
    const auto catalog = v1::CatalogService::NewStub(connect("ann"));
    REQUIRE(catalog->GetFileSets(&context, request, &response).ok());
    return response;
  }

  grpc::Status submit(const v1::SubmitRequest& request) {
    grpc::ClientContext context;
    v1::SubmitResponse response;
    return v1::CatalogService::NewStub(connect("ann"))->Submit(&context, request, &response);
  }

  grpc::Status submit(const catalog::SignedChange& change) {
    v1::SubmitRequest request;
    request.set_statement(change.statement);
    request.set_head(change.head);
    return submit(request);
  }

  /// Signs, submits, and takes it into the signer's own copy of the log.
  void change(catalog::Action action) {
    const auto signed_change = sign(action, key);
    const auto status = submit(signed_change);
    INFO(status.error_message());
    REQUIRE(status.ok());
    signed_log.statements.push_back(signed_change.statement);
    signed_log.head = signed_change.head;
    auto verified = catalog::verify_log(signed_log, {1, {key.public_key()}});
    REQUIRE(verified);
    head = verified->head;
  }

  v1::ListFindingsResponse findings(bool include_resolved = false) {
    grpc::ClientContext context;
    v1::ListFindingsRequest request;
    request.set_include_resolved(include_resolved);
    v1::ListFindingsResponse response;
    const auto status =
        v1::Query::NewStub(connect("ann"))->ListFindings(&context, request, &response);
    INFO(status.error_message());
    REQUIRE(status.ok());
    return response;
  }

  v1::Trace trace(const std::string& target) {
    grpc::ClientContext context;
    v1::GetTraceRequest request;
    request.set_target(target);
    v1::Trace response;
    const auto status = v1::Query::NewStub(connect("ann"))->GetTrace(&context, request, &response);
    INFO(status.error_message());
    REQUIRE(status.ok());
    return response;
  }

  /// Open findings of this kind.
  int count_findings(const std::string& kind) {
    const auto open = findings();
    return static_cast<int>(
        std::count_if(open.findings().begin(), open.findings().end(),
                      [&](const v1::Finding& finding) { return finding.kind() == kind; }));
  }

  std::vector<v1::Node> nodes() {
    grpc::ClientContext context;
    v1::ListNodesResponse response;
    REQUIRE(v1::Query::NewStub(connect("ann"))->ListNodes(&context, {}, &response).ok());
    return {response.nodes().begin(), response.nodes().end()};
  }

  v1::ListRunsResponse runs(const std::string& node = "", bool include_ended = true) {
    grpc::ClientContext context;
    v1::ListRunsRequest request;
    request.set_include_ended(include_ended);
    request.set_node(node);
    v1::ListRunsResponse response;
    REQUIRE(v1::Query::NewStub(connect("ann"))->ListRuns(&context, request, &response).ok());
    return response;
  }
};

/// An agent that says what it is told to.
class Agent {
 public:
  struct Hello {
    std::string cluster = "test";
    char epoch = 'e';
    std::string instance = {};
    std::uint64_t acknowledged = 0;
    bool can_verify = true;
  };
  Agent(const Deployment& deployment, const std::string& certificate, const std::string& node)
      : Agent(deployment, certificate, node, Hello{}) {}
  Agent(const Deployment& deployment, const std::string& certificate, const std::string& node,
        const Hello& hello)
      : node_{hello.cluster, node}, stub_(v1::AgentLink::NewStub(deployment.connect(certificate))) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = stub_->Connect(&context_);
    v1::FromAgent message;
    message.mutable_hello()->set_cluster(hello.cluster);
    message.mutable_hello()->set_node(node);
    message.mutable_hello()->set_epoch(std::string(16, hello.epoch));
    message.mutable_hello()->set_instance(hello.instance);
    message.mutable_hello()->set_acknowledged(hello.acknowledged);
    if (hello.can_verify) message.mutable_hello()->add_commands("verify");
    stream_->Write(message);
  }
  ~Agent() {
    if (stream_) end();
  }

  /// The next message; none when the stream ended.
  std::optional<v1::ToAgent> read_any() {
    v1::ToAgent message;
    if (!stream_->Read(&message)) return std::nullopt;
    return message;
  }

  /// The next one but wishes for file sets, which come whenever a stack is unknown.
  std::optional<v1::ToAgent> read() {
    for (;;) {
      auto message = read_any();
      if (!message || message->message_case() != v1::ToAgent::kFileSetRequest) return message;
    }
  }

  /// Skips to the next message of this kind.
  v1::ToAgent expect(v1::ToAgent::MessageCase kind) {
    for (;;) {
      auto message = read_any();
      REQUIRE(message);
      if (message->message_case() == kind) return *message;
    }
  }

  void send(const v1::FromAgent& message) { stream_->Write(message); }

  void send_start(std::uint64_t sequence, int n, std::uint8_t layer_fill, bool describe = true) {
    v1::FromAgent message;
    v1::Event& event = *message.mutable_batch()->add_events();
    event.set_sequence(sequence);
    v1::RunStarted& start = *event.mutable_run_started();
    start.set_run_id(run_id(n));
    start.set_kind("container");
    start.set_cause("exec");
    start.set_started_ns(1'000'000 + n);
    start.set_stack(std::string(catalog::digest_of(on(layer_fill)).raw()));
    start.mutable_names()->set_name("web-" + std::to_string(n));
    if (describe) fill(layer_fill, *message.mutable_batch()->add_stacks());
    send(message);
  }

  void send_end(std::uint64_t sequence, int n) {
    v1::FromAgent message;
    v1::Event& event = *message.mutable_batch()->add_events();
    event.set_sequence(sequence);
    event.mutable_run_ended()->set_run_id(run_id(n));
    event.mutable_run_ended()->set_ended_ns(9'000'000);
    send(message);
  }

  /// Names of the run, and what its runtime's records disagree on.
  void send_named(std::uint64_t sequence, int n, const std::string& conflict) {
    v1::FromAgent message;
    v1::Event& event = *message.mutable_batch()->add_events();
    event.set_sequence(sequence);
    event.mutable_run_named()->set_run_id(run_id(n));
    v1::ContainerNames& names = *event.mutable_run_named()->mutable_names();
    names.set_name("web-" + std::to_string(n));
    names.set_image("registry.example/web:1");
    names.set_image_id("deadbeef");
    names.set_config_digest(std::string(32, 'c'));
    names.set_manifest_digest(std::string(32, 'm'));
    names.set_repo_digest("too short for a digest");
    event.mutable_run_named()->add_claim_conflicts(conflict);
    send(message);
  }

  v1::Event run_present(int n, std::uint8_t layer_fill) const {
    v1::Event event;
    v1::RunStarted& run = *event.mutable_run_present()->mutable_run();
    run.set_run_id(run_id(n));
    run.set_kind("container");
    run.set_cause("exec");
    run.set_started_ns(1'000'000 + n);
    run.set_stack(std::string(catalog::digest_of(on(layer_fill)).raw()));
    return event;
  }

  void send_heartbeat(std::uint64_t number, std::uint64_t sent = 0,
                      std::uint64_t acknowledged = 0) {
    v1::FromAgent message;
    message.mutable_heartbeat()->set_number(number);
    message.mutable_heartbeat()->set_sent_sequence(sent);
    message.mutable_heartbeat()->set_acknowledged(acknowledged);
    send(message);
  }

  catalog::Stack on(std::uint8_t n) const { return stack(node_, {layer(n)}); }

  static void fill(std::uint8_t n, v1::Stack& out) {
    const catalog::StackLayer one = layer(n);
    v1::StackLayer& wire = *out.add_layers();
    wire.mutable_instance()->set_file_system(one.instance.file_system);
    wire.mutable_instance()->set_inode(one.instance.inode);
    wire.mutable_instance()->set_generation(one.instance.generation);
    wire.mutable_instance()->set_birth_ns(one.instance.birth_ns);
    wire.set_shape(std::string(one.evidence.shape->raw()));
    wire.set_content(std::string(one.evidence.content->raw()));
    if (one.evidence.deletions) wire.set_deletions(std::string(one.evidence.deletions->raw()));
    wire.set_name(one.name);
    out.mutable_about()->mutable_distribution()->set_id("debian");
    v1::PackageDatabase& database = *out.mutable_about()->add_databases();
    database.set_manager("dpkg");
    database.set_packages(88);
    database.set_gap(std::string(5000, 'x'));
  }

  grpc::Status end() {
    stream_->WritesDone();
    while (read()) {
    }
    const grpc::Status status = stream_->Finish();
    stream_.reset();
    return status;
  }

 private:
  NodeKey node_;
  std::unique_ptr<v1::AgentLink::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::FromAgent, v1::ToAgent>> stream_;
};

}  // namespace assay::collector::tests
