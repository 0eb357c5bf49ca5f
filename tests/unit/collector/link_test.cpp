// SPDX-License-Identifier: Apache-2.0
// The whole collector in this process, with real mTLS on loopback, and small clients of it.
#include <grpcpp/grpcpp.h>

#include "assay/v1/agent.grpc.pb.h"
#include "assay/v1/query.grpc.pb.h"
#include "collector/app/collector.h"
#include "collector/identity/authority_dir.h"
#include "common/base/file.h"
#include "common/catalog/signing.h"
#include "tests/unit/collector/support.h"

namespace assay::collector {
namespace {

using namespace tests;
using grpc::StatusCode;

std::string slurp(const std::string& path) {
  auto bytes = read_file(path, 1 << 20);
  REQUIRE(bytes);
  return *bytes;
}

catalog::BaseStack base_stack(std::uint8_t n) {
  return {"linux/amd64",
          "",
          {{std::nullopt, digest_with<ShapeDigest>(n), digest_with<ContentDigest>(n), std::nullopt,
            10, 100}}};
}

/// A collector with its authority, the certificates of two nodes and a user, and a signing key.
struct Deployment {
  TempDir dir;
  SystemClock clock;
  std::unique_ptr<service::Log> log;
  catalog::SigningKey key;
  std::unique_ptr<Collector> collector;
  catalog::SignedLog signed_log;
  catalog::Head head;

  Deployment()
      : log(*service::Log::create({"error", "text"})),
        key(*catalog::SigningKey::generate(catalog::KeyType::kEcdsaP256)) {
    redirect_grpc_log({});
    const WallTime now = clock.wall_now();
    REQUIRE(init_authority({data(), "test", ""}, now));
    for (const char* node : {"node-1", "node-2"})
      REQUIRE(issue_client({data(), node, "", dir.path() + "/" + node}, now));
    REQUIRE(issue_client({data(), "", "ann", dir.path() + "/ann"}, now));
    REQUIRE(write_file_atomically(dir.path() + "/trust.pem", key.public_key().pem(), 0644));
    start();
  }

  std::string data() const { return dir.path() + "/data"; }

  void start() {
    collector.reset();
    CollectorConfig config;
    config.data_dir = data();
    config.listen = "127.0.0.1:0";
    config.http_address = "127.0.0.1:0";
    config.trust_file = dir.path() + "/trust.pem";
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

  grpc::Status submit(const catalog::SignedChange& change) {
    grpc::ClientContext context;
    v1::SubmitRequest request;
    request.set_statement(change.statement);
    request.set_head(change.head);
    v1::SubmitResponse response;
    return v1::CatalogService::NewStub(connect("ann"))->Submit(&context, request, &response);
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

  v1::ListRunsResponse runs() {
    grpc::ClientContext context;
    v1::ListRunsRequest request;
    request.set_include_ended(true);
    v1::ListRunsResponse response;
    REQUIRE(v1::Query::NewStub(connect("ann"))->ListRuns(&context, request, &response).ok());
    return response;
  }
};

/// An agent that says what it is told to.
class Agent {
 public:
  Agent(const Deployment& deployment, const std::string& certificate, const std::string& node)
      : node_{"test", node}, stub_(v1::AgentLink::NewStub(deployment.connect(certificate))) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = stub_->Connect(&context_);
    v1::FromAgent message;
    message.mutable_hello()->set_cluster("test");
    message.mutable_hello()->set_node(node);
    message.mutable_hello()->set_epoch(std::string(16, 'e'));
    stream_->Write(message);
  }
  ~Agent() {
    if (stream_) end();
  }

  /// The next message; none when the stream ended.
  std::optional<v1::ToAgent> read() {
    v1::ToAgent message;
    if (!stream_->Read(&message)) return std::nullopt;
    return message;
  }

  /// Skips to the next message of this kind.
  v1::ToAgent expect(v1::ToAgent::MessageCase kind) {
    for (;;) {
      auto message = read();
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

TEST_CASE("a batch is acknowledged, read back, and its end resolves its findings",
          "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  CHECK(agent.expect(v1::ToAgent::kWelcome).welcome().acknowledged() == 0);
  agent.send_start(1, 1, 9);
  CHECK(agent.expect(v1::ToAgent::kAcknowledgement).acknowledgement().sequence() == 1);
  const auto open = here.findings();
  REQUIRE(open.findings_size() == 1);
  CHECK(open.findings(0).kind() == "unknown-base");
  CHECK(open.findings(0).names().name() == "web-1");
  agent.send_end(2, 1);
  agent.expect(v1::ToAgent::kAcknowledgement);
  CHECK(here.findings().findings_size() == 0);
  CHECK(here.findings(true).findings(0).state() == "resolved");
}

TEST_CASE("names of every kind and a mismatch reach who asks", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  agent.send_start(1, 1, 9);
  agent.expect(v1::ToAgent::kAcknowledgement);
  agent.send_named(2, 1, "docker's record: it names 2 layers, the container stands on 1");
  agent.expect(v1::ToAgent::kAcknowledgement);
  const v1::ContainerNames names = here.runs().runs(0).names();
  CHECK(names.image() == "registry.example/web:1");
  CHECK(names.image_id() == "deadbeef");
  CHECK(names.config_digest() == std::string(32, 'c'));
  CHECK(names.manifest_digest() == std::string(32, 'm'));
  CHECK(names.repo_digest().empty());
  const auto findings = here.findings();
  REQUIRE(findings.findings_size() == 2);
  CHECK(findings.findings(0).kind() == "mismatch");
  CHECK(findings.findings(0).reason() ==
        "docker's record: it names 2 layers, the container stands on 1");
  CHECK(findings.findings(0).names().config_digest() == std::string(32, 'c'));
}

TEST_CASE("what a stack says of itself is kept for the trace, within limits", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  agent.send_start(1, 1, 9);
  agent.expect(v1::ToAgent::kAcknowledgement);
  const v1::About about = here.trace("web-1").stack().about();
  CHECK(about.distribution().id() == "debian");
  REQUIRE(about.databases_size() == 1);
  CHECK(about.databases(0).packages() == 88);
  CHECK(about.databases(0).gap().size() == 1024);
}

TEST_CASE("duplicates are acknowledged again and change nothing", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  for (int i = 0; i < 2; ++i) {
    agent.send_start(1, 1, 9);
    CHECK(agent.expect(v1::ToAgent::kAcknowledgement).acknowledgement().sequence() == 1);
  }
  CHECK(here.runs().runs_size() == 1);
}

TEST_CASE("a hole ends the stream and the next one resumes", "[collector][unit]") {
  Deployment here;
  {
    Agent agent(here, "node-1", "node-1");
    agent.expect(v1::ToAgent::kWelcome);
    agent.send_start(1, 1, 9);
    agent.expect(v1::ToAgent::kAcknowledgement);
    agent.send_start(3, 3, 9);
    CHECK_FALSE(agent.read());
    const grpc::Status status = agent.end();
    CHECK(status.error_code() == StatusCode::OUT_OF_RANGE);
    CHECK(status.error_message().find("expected 2, got 3") != std::string::npos);
  }
  Agent again(here, "node-1", "node-1");
  CHECK(again.expect(v1::ToAgent::kWelcome).welcome().acknowledged() == 1);
}

TEST_CASE("a stack that was never described is asked for, also on the next connection",
          "[collector][unit]") {
  Deployment here;
  {
    Agent agent(here, "node-1", "node-1");
    agent.expect(v1::ToAgent::kWelcome);
    agent.send_start(1, 1, 9, false);
    const auto request = agent.expect(v1::ToAgent::kStackRequest).stack_request();
    REQUIRE(request.digests_size() == 1);
    CHECK(request.digests(0) == std::string(catalog::digest_of(agent.on(9)).raw()));
  }
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kStackRequest);
  v1::FromAgent answer;
  Agent::fill(9, *answer.mutable_stacks()->add_stacks());
  agent.send(answer);
  agent.expect(v1::ToAgent::kAcknowledgement);
  CHECK(here.runs().runs(0).verdict().status() == v1::VERDICT_STATUS_UNKNOWN);
}

TEST_CASE("a node may only speak as itself", "[collector][unit]") {
  Deployment here;
  Agent liar(here, "node-2", "node-1");
  const grpc::Status status = liar.end();
  CHECK(status.error_code() == StatusCode::PERMISSION_DENIED);
  CHECK(status.error_message().find("test/node-2") != std::string::npos);
}

TEST_CASE("roles do not cross: a user is no agent and an agent is no user", "[collector][unit]") {
  Deployment here;
  Agent user(here, "ann", "node-1");
  CHECK(user.end().error_code() == StatusCode::PERMISSION_DENIED);

  grpc::ClientContext context;
  v1::ListRunsResponse runs;
  const auto listed = v1::Query::NewStub(here.connect("node-1"))->ListRuns(&context, {}, &runs);
  CHECK(listed.error_code() == StatusCode::PERMISSION_DENIED);
  grpc::ClientContext other;
  v1::SubmitResponse response;
  CHECK(v1::CatalogService::NewStub(here.connect("node-1"))
            ->Submit(&other, {}, &response)
            .error_code() == StatusCode::PERMISSION_DENIED);
}

TEST_CASE("without a client certificate nobody gets in", "[collector][unit]") {
  Deployment here;
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = slurp(here.data() + "/ca.pem");
  const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(here.collector->port()),
                                           grpc::SslCredentials(tls));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::ListRunsResponse runs;
  CHECK_FALSE(v1::Query::NewStub(channel)->ListRuns(&context, {}, &runs).ok());
}

TEST_CASE("a revocation is pushed, opens findings on what runs, and they end with it",
          "[collector][unit]") {
  Deployment here;
  here.change(catalog::Action::kApprove);
  Agent agent(here, "node-1", "node-1");
  CHECK(agent.expect(v1::ToAgent::kCatalog).catalog().statements_size() == 1);
  agent.send_start(1, 1, 1);
  agent.expect(v1::ToAgent::kAcknowledgement);
  CHECK(here.runs().runs(0).verdict().status() == v1::VERDICT_STATUS_APPROVED);
  CHECK(here.findings().findings_size() == 0);

  here.change(catalog::Action::kRevoke);
  CHECK(agent.expect(v1::ToAgent::kCatalog).catalog().statements_size() == 2);
  CHECK(eventually([&] { return here.findings().findings_size() == 1; }));
  CHECK(here.findings().findings(0).kind() == "revoked-base");
  CHECK(here.findings().findings(0).base() == "debian:12");

  grpc::ClientContext context;
  v1::GetImpactRequest request;
  request.set_base("debian:12");
  v1::Impact impact;
  REQUIRE(
      v1::CatalogService::NewStub(here.connect("ann"))->GetImpact(&context, request, &impact).ok());
  CHECK(impact.running() == 1);
  CHECK(impact.agents_connected() == 1);
  CHECK(impact.catalog_sequence() == 2);

  agent.send_end(2, 1);
  agent.expect(v1::ToAgent::kAcknowledgement);
  CHECK(here.findings().findings_size() == 0);
}

TEST_CASE("only what a trusted key signed, and only what follows, is taken", "[collector][unit]") {
  Deployment here;
  const auto stranger = catalog::SigningKey::generate(catalog::KeyType::kEd25519);
  CHECK(here.submit(here.sign(catalog::Action::kApprove, *stranger)).error_code() ==
        StatusCode::FAILED_PRECONDITION);
  const auto first = here.sign(catalog::Action::kApprove, here.key);
  auto tampered = first;
  tampered.statement[tampered.statement.size() / 2] ^= 1;
  CHECK_FALSE(here.submit(tampered).ok());
  here.change(catalog::Action::kApprove);
  CHECK(here.submit(first).error_code() == StatusCode::FAILED_PRECONDITION);  // sequence 1 again

  grpc::ClientContext context;
  v1::CatalogLog log;
  REQUIRE(v1::CatalogService::NewStub(here.connect("ann"))->GetLog(&context, {}, &log).ok());
  CHECK(log.statements_size() == 1);
  CHECK(log.head() == here.signed_log.head);
}

TEST_CASE("a restart keeps runs, findings, the catalog and what was acknowledged",
          "[collector][unit]") {
  Deployment here;
  here.change(catalog::Action::kApprove);
  {
    Agent agent(here, "node-1", "node-1");
    agent.expect(v1::ToAgent::kWelcome);
    agent.send_start(1, 1, 9);
    agent.expect(v1::ToAgent::kAcknowledgement);
  }
  here.start();
  CHECK(here.findings().findings_size() == 1);
  Agent agent(here, "node-1", "node-1");
  CHECK(agent.expect(v1::ToAgent::kWelcome).welcome().acknowledged() == 1);
  CHECK(agent.expect(v1::ToAgent::kCatalog).catalog().statements_size() == 1);
  here.change(catalog::Action::kRevoke);
  CHECK(agent.expect(v1::ToAgent::kCatalog).catalog().statements_size() == 2);
}

TEST_CASE("a newer stream of one node takes over from the older", "[collector][unit]") {
  Deployment here;
  Agent older(here, "node-1", "node-1");
  older.expect(v1::ToAgent::kWelcome);
  Agent newer(here, "node-1", "node-1");
  newer.expect(v1::ToAgent::kWelcome);
  CHECK_FALSE(older.read());
  CHECK(older.end().error_code() == StatusCode::ABORTED);
}

TEST_CASE("an agent whose collector stops hears of it", "[collector][unit]") {
  Deployment here;
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  here.collector.reset();
  CHECK_FALSE(agent.read());
}

TEST_CASE("bad arguments are answered in words", "[collector][unit]") {
  Deployment here;
  const auto stub = v1::Query::NewStub(here.connect("ann"));
  v1::ListRunsRequest request;
  request.set_verdict("fine");
  grpc::ClientContext first;
  v1::ListRunsResponse runs;
  CHECK(stub->ListRuns(&first, request, &runs).error_code() == StatusCode::INVALID_ARGUMENT);
  v1::GetTraceRequest target;
  target.set_target("nobody");
  grpc::ClientContext second;
  v1::Trace trace;
  CHECK(stub->GetTrace(&second, target, &trace).error_code() == StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace assay::collector
