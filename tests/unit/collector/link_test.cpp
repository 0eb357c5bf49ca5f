// SPDX-License-Identifier: Apache-2.0
// The whole collector in this process, with real mTLS on loopback, and small clients of it.
#include "tests/unit/collector/link_support.h"

namespace assay::collector {
namespace {

using namespace tests;
using grpc::StatusCode;

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

TEST_CASE("a file set is asked for once a stream until it comes", "[collector][unit]") {
  Deployment here;
  const auto wish_of = [](const v1::ToAgent& message, const catalog::Stack& stack) {
    REQUIRE(message.file_set_request().wishes_size() == 1);
    const v1::FileSetWish& wish = message.file_set_request().wishes(0);
    CHECK(wish.stack() == catalog::digest_of(stack).raw());
    CHECK(wish.first_layer() == 0);
  };
  v1::FromAgent answer;
  {
    Agent agent(here, "node-1", "node-1");
    agent.expect(v1::ToAgent::kWelcome);
    agent.send_start(1, 1, 9);
    wish_of(agent.expect(v1::ToAgent::kFileSetRequest), agent.on(9));
    agent.send_start(2, 2, 9);
    CHECK(agent.read_any()->message_case() == v1::ToAgent::kAcknowledgement);
    answer.mutable_file_set()->set_stack(std::string(catalog::digest_of(agent.on(9)).raw()));
  }
  Agent again(here, "node-1", "node-1");
  wish_of(again.expect(v1::ToAgent::kFileSetRequest), again.on(9));
  answer.mutable_file_set()->set_files("no file set");
  again.send(answer);
  again.expect(v1::ToAgent::kAcknowledgement);
  CHECK(here.trace(run_id(1)).containment().gap() ==
        "the node sent not a file set: it does not begin like one");
  again.send_start(3, 3, 9);  // may be made now
  wish_of(again.expect(v1::ToAgent::kFileSetRequest), again.on(9));
  answer.mutable_file_set()->set_files(catalog::FileSet({{1, 2}, {3, 4}}).encode());
  again.send(answer);
  again.expect(v1::ToAgent::kAcknowledgement);
  CHECK(here.trace(run_id(1)).containment().gap().empty());
  CHECK_FALSE(here.trace(run_id(1)).containment().is_awaited());
}

TEST_CASE("an approval comes with the file sets that it names", "[collector][unit]") {
  Deployment here;
  const std::string bytes = catalog::FileSet({{1, 2}, {3, 4}}).encode();
  const v1::SubmitRequest without = here.sign_with_files(bytes, 2);
  CHECK(here.submit(without).error_code() == StatusCode::NOT_FOUND);
  v1::SubmitRequest other = without;
  other.add_file_sets(bytes);
  other.add_file_sets(catalog::FileSet({{1, 3}}).encode());
  CHECK(here.submit(other).error_code() == StatusCode::INVALID_ARGUMENT);
  v1::SubmitRequest whole = without;
  whole.add_file_sets(bytes);
  CHECK(here.submit(whole).ok());
  const auto sets = here.file_sets({std::string(sha256(bytes).raw()), std::string(32, 'x')});
  REQUIRE(sets.file_sets_size() == 1);
  CHECK(sets.file_sets(0) == bytes);
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

TEST_CASE("a viewer reads and changes nothing, and each refusal says from where",
          "[collector][unit]") {
  Deployment here;
  grpc::ClientContext reading;
  v1::ListRunsResponse runs;
  CHECK(v1::Query::NewStub(here.connect("vic"))->ListRuns(&reading, {}, &runs).ok());
  grpc::ClientContext changing;
  v1::SubmitResponse response;
  const auto status =
      v1::CatalogService::NewStub(here.connect("vic"))->Submit(&changing, {}, &response);
  CHECK(status.error_code() == StatusCode::PERMISSION_DENIED);
  CHECK_THAT(status.error_message(), Catch::Contains("role approver"));
  CHECK(eventually([&] {
    return here.count(
               "SELECT count(*) FROM audit_log WHERE actor='user:vic' AND"
               " action='CatalogService.Submit' AND outcome='refused' AND"
               " peer LIKE 'ipv4:127.0.0.1:%'") == 1;
  }));
}

TEST_CASE("a change of the catalog is in the audit log, with who and from where",
          "[collector][unit]") {
  Deployment here;
  here.change(catalog::Action::kApprove);
  CHECK(here.count("SELECT count(*) FROM audit_log WHERE actor='user:ann' AND"
                   " action='catalog.submit' AND subject='sequence 1' AND outcome='done' AND"
                   " peer LIKE 'ipv4:127.0.0.1:%'") == 1);
}

TEST_CASE("no connection is believed for longer than its age", "[collector][unit]") {
  Deployment here([](CollectorConfig& config) { config.connection_age = std::chrono::seconds(1); });
  Agent agent(here, "node-1", "node-1");
  agent.expect(v1::ToAgent::kWelcome);
  while (agent.read()) {
  }
  CHECK(agent.end().error_code() == StatusCode::UNAVAILABLE);
  Agent again(here, "node-1", "node-1");
  again.expect(v1::ToAgent::kWelcome);
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
  const auto listed = v1::Query::NewStub(channel)->ListRuns(&context, {}, &runs);
  CHECK(listed.error_code() == StatusCode::UNAUTHENTICATED);
  CHECK_THAT(listed.error_message(), Catch::Contains("client certificate"));
  CHECK(eventually([&] {
    return here.count(
               "SELECT count(*) FROM audit_log WHERE actor='' AND"
               " action='Query.ListRuns' AND outcome='refused'") == 1;
  }));
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
